"use strict";
// Every form with data-post sends its fields as JSON. Then it says `message` of the answer, or follows its `next`, or reloads.

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

function say(form, role, text) {
  form.querySelectorAll("[role=alert], [role=status]").forEach((place) => place.remove());
  const place = document.createElement("p");
  place.setAttribute("role", role);
  place.textContent = text;
  form.append(place);
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-post]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await send(form.dataset.post, Object.fromEntries(new FormData(form)));
  button.disabled = false;
  if (answer.failed) say(form, "alert", answer.failed);
  else if (answer.message) say(form, "status", answer.message);
  else if (answer.next) location.assign(answer.next);
  else location.reload();
});
