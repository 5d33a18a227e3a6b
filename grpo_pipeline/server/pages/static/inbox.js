"use strict";
// The inbox by keyboard. What a decision changes comes back from the server, rendered and escaped there.

const list = document.getElementById("pairs");
const said = document.getElementById("said");
const trouble = document.getElementById("trouble");
let current = null;
let busy = false;

const pairs = () => [...list.querySelectorAll(".pair")];
const picked = () => pairs().filter((pair) => pair.querySelector(".pick").checked);
const seen = (pair) => ({ id: pair.dataset.id, version: pair.dataset.version });

function show(pair) {
  current = pair;
  pairs().forEach((other) => other.classList.toggle("current", other === pair));
  if (!pair) return;
  pair.focus({ preventScroll: true });
  pair.scrollIntoView({ block: "start" });
}

function move(step) {
  const all = pairs();
  const place = all.indexOf(current) + step;
  if (place >= 0 && place < all.length) return show(all[place]);
  const older = document.getElementById("older");
  if (place >= all.length && older) return location.assign(older.href);
  if (place >= all.length) said.textContent = "That was the last pair.";
}

function replace(id, html) {
  const made = new DOMParser().parseFromString(html, "text/html").querySelector(".pair");
  const old = document.getElementById(`pair-${id}`);
  if (old) old.replaceWith(made);
  else list.prepend(made);
  return made;
}

async function act(url, body, after) {
  if (busy) return;
  busy = true;
  const kept = current && current.dataset.id;
  const answer = await send(url, body);
  busy = false;
  trouble.textContent = answer.failed || "";
  if (answer.failed) return;
  said.textContent = answer.message;
  const made = answer.pairs.map((pair) => replace(pair.id, pair.html));
  current = kept && document.getElementById(`pair-${kept}`);
  count();
  after(made);
}

const decide = (action, chosen, after) =>
  act("/inbox/decide", { action, pairs: chosen.map(seen) }, after);

function count() {
  const number = picked().length;
  document.querySelectorAll("[data-bulk]").forEach((button) => { button.disabled = number === 0; });
  document.getElementById("pick-all").checked = number > 0 && number === pairs().length;
}

async function edit(pair) {
  if (pair.querySelector("textarea")) return;
  const response = await fetch(`/inbox/pairs/${pair.dataset.id}`);
  if (!response.ok) { trouble.textContent = "The text cannot be read: reload the page."; return; }
  const { chosen, version } = await response.json();
  const place = pair.querySelector(".chosen");
  const area = document.createElement("textarea");
  area.value = chosen;
  area.rows = Math.min(20, Math.max(5, chosen.split("\n").length + 2));
  area.setAttribute("aria-label", "Chosen answer");
  const save = document.createElement("button");
  save.type = "button";
  save.textContent = "Save and approve";
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "quiet";
  cancel.textContent = "Leave it";
  const box = document.createElement("div");
  box.className = "editing";
  box.append(area, save, cancel);
  const leave = () => { box.remove(); place.classList.remove("edited"); show(pair); };
  const keep = () => act("/inbox/edit", { id: pair.dataset.id, version, chosen: area.value }, () => move(1));
  save.addEventListener("click", keep);
  cancel.addEventListener("click", leave);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep();
  });
  place.classList.add("edited");
  place.append(box);
  area.focus();
}

const ACTIONS = {
  approve: (pair) => decide("approve", [pair], () => move(1)),
  reject: (pair) => decide("reject", [pair], () => move(1)),
  edit,
  skip: () => move(1),
};
const GLOBAL = {
  undo: () => act("/inbox/undo", {}, (made) => show(made[0])),
  help: () => document.getElementById("keys").showModal(),
};
const KEYS = { a: "approve", r: "reject", e: "edit", s: "skip", u: "undo", "?": "help" };

function bulk(action) {
  const chosen = picked();
  if (chosen.length) decide(action, chosen, () => {});
}

function run(name) {
  if (GLOBAL[name]) return GLOBAL[name]();
  if (!current) return move(1);
  return ACTIONS[name](current);
}

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("textarea, select, input:not([type=checkbox])");
  if (field || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const key = event.key;
  if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (key === "A") bulk("approve");
  else if (key === "R") bulk("reject");
  else if (key === "x" && current) current.querySelector(".pick").click();
  else if (key === "/") document.getElementById("q").focus();
  else if (KEYS[key]) run(KEYS[key]);
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) {
    const pair = button.closest(".pair");
    if (pair) show(pair);
    run(button.dataset.act);
  }
  const many = event.target.closest("[data-bulk]");
  if (many) bulk(many.dataset.bulk);
});

document.addEventListener("change", (event) => {
  if (event.target.id === "pick-all") {
    pairs().forEach((pair) => { pair.querySelector(".pick").checked = event.target.checked; });
  }
  if (event.target.matches(".pick, #pick-all")) count();
});

list.addEventListener("focusin", (event) => {
  const pair = event.target.closest(".pair");
  if (pair && pair !== current) {
    current = pair;
    pairs().forEach((other) => other.classList.toggle("current", other === pair));
  }
});
