"use strict";
// Every form with data-post sends its fields as JSON and then follows `next` of the answer, or reloads the page.

async function send(url, body) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    return { failed: "The server does not answer: check the connection and try again." };
  }
  const answer = await response.json().catch(() => ({}));
  return response.ok ? answer : { failed: answer.detail || `The server answered ${response.status}.` };
}

function say(form, text) {
  let place = form.querySelector("[role=alert]");
  if (!place) {
    place = document.createElement("p");
    place.setAttribute("role", "alert");
    form.append(place);
  }
  place.textContent = text;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-post]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await send(form.dataset.post, Object.fromEntries(new FormData(form)));
  button.disabled = false;
  if (answer.failed) say(form, answer.failed);
  else if (answer.next) location.assign(answer.next);
  else location.reload();
});
