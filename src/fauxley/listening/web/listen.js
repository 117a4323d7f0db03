// The listening test: shows the question that the server says comes next, and sends the answer. The server keeps the
// place, so that the page can be closed and opened again at any time.

import { Api } from "./api.js";
import { Player } from "./player.js";

const PLAY = "M8 5.5v13l11-6.5z";
const PARTS = {
  label: {
    title: "What do you hear?",
    text: (study) => [
      "You will hear short sounds, one after another, in batches.",
      `For each, choose what you hear. If you cannot tell, say so: that is an answer too.`,
      "After each batch, three questions about the batch as a whole.",
    ],
  },
  pair: {
    title: "Which sounds better?",
    text: () => ["Now two sounds at a time.", "Listen to both and choose the better one, or say that there is no difference."],
  },
  verdict: {
    title: "Real or generated?",
    text: () => ["Some sounds are recordings, some were made by a computer.", "Listen and decide. About half are real; trust your ear."],
  },
};
const SCALES = [
  ["quality", "Sound quality", "bad", "excellent"],
  ["ease", "Ease of recognition", "hard", "easy"],
  ["diversity", "Diversity: how different were the sounds from one another?", "all alike", "very varied"],
];

const main = document.getElementById("main");
const progress = document.getElementById("progress");
const status = document.getElementById("status");
const api = new Api((waiting) => {
  status.textContent = waiting ? "No connection; trying again …" : "";
  status.classList.toggle("waiting", waiting);
});
const player = new Player(api);
let study = null;
let lastKind = null;
let keys = {};  // of the view: key → action

// ---- building blocks

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

function icon() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PLAY);
  svg.append(path);
  return svg;
}

function show(...children) {
  keys = {};
  main.replaceChildren(...children.filter(Boolean));
  main.classList.remove("enter");
  void main.offsetWidth;  // begin the animation anew
  main.classList.add("enter");
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function heading(text) {
  return make("h1", { text, tabindex: "-1" });
}

function nextBar(text, action) {
  const why = make("p", { class: "why", "aria-live": "polite" });
  const button = make("button", { class: "next", type: "button", onclick: action }, make("span", { text }), make("kbd", { text: "Enter" }));
  return { element: make("div", { class: "bar" }, why, button), button, why };
}

// Radio buttons: [value, text] each; `pick` is told the value. Number keys choose too.
function choices(name, legend, options, { layout = "", hidden = false, numbered = true, pick }) {
  const box = make("div", { class: `choices ${layout}` });
  options.forEach(([value, text, quiet], place) => {
    const key = quiet ? "0" : String(place + 1);
    const input = make("input", { type: "radio", name, value, onchange: () => pick(value) });
    const hint = numbered && key.length === 1 ? make("kbd", { text: key, "aria-hidden": "true" }) : null;
    box.append(make("label", { class: quiet ? "choice quiet" : "choice" }, input, make("span", {}, hint, text)));
    if (hint) keys[key] = () => { input.checked = true; pick(value); };
  });
  const label = make("legend", { text: legend, class: hidden ? "soft" : "" });
  return make("fieldset", {}, label, box);
}

// A round button that plays one sound; `heard` is told when it was played to its end.
function playButton(token, name, heard) {
  const button = make("button", { class: "play", type: "button", "aria-label": name, disabled: true }, make("span", {}, icon()));
  let url = null;
  player.load(token).then((value) => { url = value; button.disabled = false; }, () => {});
  const play = async () => {
    if (!url) return false;
    const done = await player.play(url, (part) => button.style.setProperty("--played", part));
    if (done) {
      button.classList.add("heard");
      heard();
    }
    return done;
  };
  button.addEventListener("click", play);
  return { button, play, ready: () => player.load(token) };
}

// ---- views

function welcome(notice) {
  progress.hidden = true;
  const begin = nextBar("Begin", async () => {
    begin.button.disabled = true;
    try {
      view(await api.begin());
    } catch (error) {
      begin.why.textContent = `That did not work: ${error.message}.`;
      begin.button.disabled = false;
    }
  });
  show(
    heading(study.title),
    notice && make("p", { class: "notice", text: notice }),
    make("p", { class: "lead", text: `Thank you for lending your ears. You will hear short sounds and say what you think of them. It takes about ${study.minutes} minutes.` }),
    make("ul", { class: "plain" },
      make("li", { text: study.headphones ? "Please use headphones, in a quiet place." : "A quiet place helps." }),
      make("li", { text: "You can close this page at any time and go on later, on the same device." }),
      make("li", { text: "Only your answers are stored: no name, no account, no address." })),
    begin.element,
  );
  keys.Enter = () => begin.button.click();
}

function volume(step) {
  let played = false;
  const next = nextBar("The volume is right", () => send(step, "ok", 1));
  const { button, play } = playButton(step.sounds[0], "Play the noise", () => {});
  button.addEventListener("click", () => { played = true; update(); });
  const update = () => {
    next.button.disabled = !played;
    next.why.textContent = played ? "" : "Play it first";
  };
  show(
    make("p", { class: "where", text: "Before we start" }),
    heading("Set your volume"),
    make("p", { class: "lead", text: "Play this noise, as often as you like, and set your device so that it is comfortable and clear, not loud. Then leave it as it is." }),
    make("div", { class: "players" }, button),
    next.element,
  );
  update();
  keys[" "] = keys.r = () => { played = true; update(); play(); };
  keys.Enter = () => next.button.click();
}

// A question with sounds to be heard and one thing to be chosen.
function question(step, { where, title, lead, sounds, legend, options, layout }) {
  let chosen = null;
  let plays = 0;
  const left = new Set(step.sounds);
  const next = nextBar("Next", () => send(step, chosen, plays));
  const update = () => {
    next.button.disabled = chosen === null || left.size > 0;
    next.why.textContent = left.size ? (sounds.length > 1 ? "Listen to both to the end" : "Listen to the end") : chosen === null ? "Choose an answer" : "";
  };
  const players = step.sounds.map((token, place) => playButton(token, sounds[place].name, () => { plays++; left.delete(token); update(); }));
  show(
    make("p", { class: "where", text: where }),
    heading(title),
    lead && make("p", { class: "lead", text: lead }),
    make("div", { class: "players" }, ...players.map((each, place) => make("div", { class: "player" }, each.button,
      make("span", {}, sounds[place].caption, " ", make("kbd", { text: sounds[place].key }))))),
  );
  main.append(choices("answer", legend, options, { layout, hidden: true, pick: (value) => { chosen = value; update(); } }), autoplayBox(), next.element);
  update();
  players.forEach((each, place) => { keys[sounds[place].key.toLowerCase()] = () => each.play(); });
  const playAll = async () => { for (const each of players) if (!(await each.play())) break; };
  keys[" "] = keys.r = playAll;
  keys.Enter = () => next.button.click();
  if (autoplay()) {
    Promise.all(players.map((each) => each.ready())).then(() => main.contains(players[0].button) && !plays && playAll(), () => {});
  }
}

function autoplay() {
  return api.memory.get("autoplay") !== "off";
}

function autoplayBox() {
  const box = make("input", { type: "checkbox", onchange: () => api.memory.set("autoplay", box.checked ? "on" : "off") });
  box.checked = autoplay();
  return make("label", { class: "auto" }, box, "Play each sound when it appears");
}

function headphones(step) {
  question(step, {
    where: `Headphone check, ${step.place + 1} of ${step.size}`,
    title: "Which tone is the softest?",
    lead: step.place ? "" : "Put your headphones on. You will hear three tones.",
    sounds: [{ name: "Play the three tones", caption: "three tones", key: "R" }],
    legend: "The softest was the",
    options: [["1", "first"], ["2", "second"], ["3", "third"]],
    layout: "three",
  });
}

function label(step) {
  const batch = step.num_batches > 1 ? `Batch ${step.batch + 1} of ${step.num_batches} · ` : "";
  question(step, {
    where: `${batch}Sound ${step.place + 1} of ${step.size}`,
    title: "What do you hear?",
    sounds: [{ name: "Play the sound", caption: "again", key: "R" }],
    legend: "I hear",
    options: [...study.labels.map((text) => [text, text]), [study.cannot_tell, "can’t tell", true]],
  });
}

function opinion(step) {
  const given = {};
  let plays = 0;
  const next = nextBar("Next", () => send(step, given, plays));
  const update = () => {
    const missing = SCALES.length - Object.keys(given).length;
    next.button.disabled = missing > 0;
    next.why.textContent = missing ? "Please answer all three" : "";
  };
  const row = step.sounds.map((token, place) => playButton(token, `Play sound ${place + 1} again`, () => { plays++; }).button);
  show(
    make("p", { class: "where", text: step.num_batches > 1 ? `Batch ${step.batch + 1} of ${step.num_batches}` : "The batch as a whole" }),
    heading("How was this batch?"),
    make("p", { class: "lead", text: "Here are its sounds again, if you like." }),
    make("div", { class: "row" }, ...row),
  );
  for (const [name, legend, low, high] of SCALES) {
    const options = [1, 2, 3, 4, 5].map((value) => [String(value), String(value)]);
    const field = choices(name, legend, options, { layout: "five", numbered: false, pick: (value) => { given[name] = Number(value); update(); } });
    field.append(make("div", { class: "ends" }, make("span", { text: `1 ${low}` }), make("span", { text: `${high} 5` })));
    main.append(field);
  }
  main.append(next.element);
  update();
  // A number answers the first scale that is still open.
  for (const value of [1, 2, 3, 4, 5]) {
    keys[value] = () => {
      const open = SCALES.find(([name]) => !(name in given));
      if (open) main.querySelector(`input[name="${open[0]}"][value="${value}"]`).click();
    };
  }
  keys.Enter = () => next.button.click();
}

function pair(step) {
  question(step, {
    where: `Pair ${step.place + 1} of ${step.size}`,
    title: "Which sounds better?",
    sounds: [{ name: "Play sound A", caption: "A", key: "A" }, { name: "Play sound B", caption: "B", key: "B" }],
    legend: "Better is",
    options: [["first", "A"], ["second", "B"], ["neither", "no difference", true]],
    layout: "two",
  });
}

function verdict(step) {
  question(step, {
    where: `Sound ${step.place + 1} of ${step.size}`,
    title: "Real or generated?",
    sounds: [{ name: "Play the sound", caption: "again", key: "R" }],
    legend: "This is",
    options: [["real", "real"], ["generated", "generated"]],
    layout: "two",
  });
}

function end() {
  show(
    make("p", { class: "done", text: "✓", "aria-hidden": "true" }),
    heading("Thank you!"),
    make("p", { class: "lead", text: "All your answers are saved. You can close this page now." }),
    make("button", { class: "other", type: "button", text: "Someone else would like to listen", onclick: () => {
      api.token = null;
      lastKind = null;
      welcome();
    } }),
  );
}

function part(kind, step) {
  const { title, text } = PARTS[kind];
  const next = nextBar(step.place || step.batch > 0 || step.kind === "opinion" ? "Go on" : "Start", () => { lastKind = kind; view(step); });
  const order = study.parts.indexOf(kind);
  show(
    make("p", { class: "where", text: study.parts.length > 1 ? `Part ${order + 1} of ${study.parts.length}` : "" }),
    heading(title),
    make("ul", { class: "plain" }, ...text(study).map((line) => make("li", { text: line }))),
    next.element,
  );
  keys.Enter = () => next.button.click();
}

// ---- flow

const VIEWS = { volume, headphones, label, opinion, pair, verdict, end };

function view(step) {
  player.keep([...step.sounds, ...step.upcoming]);
  progress.hidden = false;
  progress.value = step.total ? step.done / step.total : 0;
  const kind = step.kind === "opinion" ? "label" : step.kind;
  if (kind in PARTS && kind !== lastKind) {
    part(kind, step);
    return;
  }
  lastKind = kind;
  VIEWS[step.kind](step);
}

let sending = false;
async function send(step, value, plays) {
  if (sending) return;
  sending = true;
  player.stop();
  const button = main.querySelector(".next");
  button.disabled = true;
  try {
    view(await api.answer(step.trial, value, plays));
  } catch (error) {
    recover(error);
  } finally {
    sending = false;
  }
}

function recover(error) {
  if (error.status === 401) {
    api.token = null;
    welcome("Your earlier session is not known here any more. Please begin again.");
  } else {
    show(heading("Something went wrong"), make("p", { text: `${error.message}. Please reload the page; your answers are safe.` }));
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = event.target;
  const onButton = target instanceof HTMLButtonElement || (target instanceof HTMLInputElement && target.type === "checkbox");
  if ((event.key === "Enter" || event.key === " ") && onButton) return;  // the button's own
  if (event.key === " " && target instanceof HTMLInputElement && !target.checked) return;  // chooses
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

async function start() {
  study = await api.open();
  document.title = study.title;
  document.getElementById("title").textContent = study.title;
  if (!api.token) {
    welcome();
    return;
  }
  view(await api.step());
}

start().catch(recover);
