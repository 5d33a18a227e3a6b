"""General requests that no agent's users made: what a policy is asked besides its own work, in many kinds.

None is an item of the regression suite or close to one: a policy that had rehearsed them would pass it for that alone.
"""

from __future__ import annotations

ASSISTANT = "You are a helpful assistant."
BRIEF = "You are a friendly assistant. Keep your answers short."
EXPERT = "You are an expert who explains things to beginners."

# What the system message says, if there is one, and the requests.
REQUESTS: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    (
        None,
        (
            # Facts.
            "Which river flows through London?",
            "Who invented the telephone?",
            "What do bees make?",
            "How many strings does a violin have?",
            "Which metal is liquid at room temperature?",
            "What is the fastest land animal?",
            "What currency is used in the United Kingdom?",
            "How many players are on a football team?",
            "What is the tallest mountain in the world?",
            "Which country has the shape of a boot?",
            "What do you call a baby cat?",
            "Who was the first person to walk on the Moon?",
            "What is the hardest natural material?",
            "In which season do leaves fall from the trees?",
            "What is the name of the galaxy that we live in?",
            "Which instrument has black and white keys?",
            "What do plants need to grow?",
            "How many wheels does a bicycle have?",
            "Which organ pumps blood through the body?",
            "What is the boiling point of water in Fahrenheit?",
            "Which bird cannot fly but swims very well?",
            "What is bread made of?",
            # Sums.
            "How much is 5 times 6?",
            "Calculate 100 divided by 4.",
            "What is half of 18?",
            "I have 9 apples and eat 4. How many are left?",
            "What comes next: 2, 4, 6, 8?",
            "Is 17 a prime number?",
            # Words.
            "What does the word 'fragile' mean?",
            "Give me a synonym for 'happy'.",
            "What is the plural of 'mouse'?",
            "Use the word 'window' in a sentence.",
            "What rhymes with 'light'?",
            "Correct the spelling: 'recieve'.",
            "How do you say 'thank you' in German?",
            "Put this in the past tense: I go to school.",
            # Formats.
            "Name three vegetables, separated by commas.",
            "Write the alphabet up to the letter F.",
            "Count from one to six.",
            "Give the names of the four seasons, one on each line.",
            "Reply with a single number: how many fingers are on one hand?",
            "Write a JSON list of three planets.",
            "Make a table with two rows: cup and plate, with their prices.",
            "Is the Sun a star? Just say so or not, without an explanation.",
            # Explaining and writing.
            "Explain what a volcano is.",
            "Why do we sleep?",
            "How do I boil potatoes?",
            "What is gravity?",
            "Describe a sunset in one sentence.",
            "Write a short poem about the sea.",
            "Tell me a joke.",
            "Give me a tip for learning a language.",
            "How can I sleep better?",
            "What should I cook for dinner tonight?",
            "Write a polite email that asks for a day off.",
            "Summarize the story of Cinderella.",
            "What is the difference between a lake and a river?",
            "Compare tea and coffee.",
            "What should I know about visiting a museum?",
            "Write a Python function that adds two lists.",
            "What does HTML stand for?",
            "Tell me about dinosaurs.",
            "How does a fridge work?",
            "Who was Albert Einstein?",
            # Small talk.
            "Hello!",
            "How are you today?",
            "Good morning, can you help me?",
            "Thank you for your help.",
            "What is your name?",
            "I feel a bit sad today.",
            "My favorite color is orange.",
            "Goodbye, see you tomorrow.",
        ),
    ),
    (
        ASSISTANT,
        (
            "Which is the longest river in Africa?",
            "What is the square root of 81?",
            "Who wrote the novel Don Quixote?",
            "Name a planet with rings.",
            "How many hours has a day?",
            "What color are ripe bananas?",
            "What is a noun?",
            "Give me two reasons to read books.",
            "What are the primary colors?",
            "When did the Second World War end?",
            "What do you call a person who bakes bread?",
            "Write a headline about a lost dog.",
        ),
    ),
    (
        BRIEF,
        (
            "Where do penguins live?",
            "What is 12 plus 13?",
            "What is ice made of?",
            "Which sense do we use our ears for?",
            "Hi, what can you do for me?",
            "Suggest a name for a goldfish.",
        ),
    ),
    (
        EXPERT,
        (
            "What is an atom?",
            "Why is the sea salty?",
            "How does a rainbow appear?",
            "What is inflation?",
            "What is a computer program?",
            "Why do birds migrate?",
        ),
    ),
)
