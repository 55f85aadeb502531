// A page of a study: keys, larger pictures, the least time, and saving that waits out a server that is away.

const LETTERS = "ABCDEFGHI";

function larger(form, dialog) {
  const frames = [...form.querySelectorAll(".frame")];
  const stage = dialog.querySelector(".stage");
  let at = 0;
  function show(next) {
    at = (next + frames.length) % frames.length;
    const picture = frames[at].querySelector("img");
    const source = frames[at].dataset.video;
    const shown = document.createElement(source ? "video" : "img");
    if (source) Object.assign(shown, { muted: true, loop: true, autoplay: true, controls: true, playsInline: true, poster: picture.src });
    Object.assign(shown, { src: source ?? picture.src, width: picture.getAttribute("width"), height: picture.getAttribute("height") });
    if (!source) shown.alt = picture.alt;
    stage.replaceChildren(shown);
    dialog.querySelector(".which").textContent = LETTERS[at];
  }
  frames.forEach((frame, number) => frame.addEventListener("click", () => { show(number); dialog.showModal(); }));
  dialog.querySelectorAll(".turn").forEach((button) => button.addEventListener("click", () => show(at + Number(button.dataset.by))));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { stage.replaceChildren(); frames[at].focus(); });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); show(at + by); }
  });
}

function trial(form) {
  const fields = [...form.querySelectorAll(".criterion")];
  const inputs = (field) => [...field.querySelectorAll("input")];
  const say = form.querySelector(".say");
  const save = form.querySelector("[type=submit]");
  const dialog = document.querySelector(".larger");
  const words = save.textContent;
  let now = 0;
  let left = Number(form.dataset.left);
  let busy = false;

  function goTo(next, focus = true) {
    now = Math.max(0, Math.min(fields.length - 1, next));
    fields.forEach((field, at) => field.classList.toggle("now", at === now));
    if (focus) {
      const own = inputs(fields[now]);
      (own.find((input) => input.checked) ?? own[0]).focus({ preventScroll: true });
      fields[now].scrollIntoView({ block: "nearest" });
    }
  }

  function keys(event) {
    if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const input = inputs(fields[now])[Number(event.key) - 1];
    const onControl = event.target.closest?.("button, a, summary");
    if (step) goTo(now + step);
    else if (input && /^[1-9]$/.test(event.key)) {
      input.checked = input.type === "radio" || !input.checked;
      input.focus({ preventScroll: true });
    } else if (event.key === "Enter" && !onControl) form.requestSubmit(save);
    else if (event.key === " " && Number(form.dataset.fps) && !onControl) videos.toggle();
    else return;
    event.preventDefault();
  }

  function wait() {
    save.disabled = busy || left > 0;
    save.textContent = left > 0 ? `${words} (${Math.ceil(left)} s)` : words;
    if (left > 0) { left -= 0.25; setTimeout(wait, 250); }
  }

  async function send(event) {
    event.preventDefault();
    if (busy || left > 0) return;
    const open = fields.findIndex((field) => !inputs(field).some((input) => input.checked));
    if (open >= 0) {
      say.textContent = `Please answer: ${fields[open].querySelector("strong").textContent}`;
      goTo(open);
      return;
    }
    busy = true;
    wait();
    const body = new URLSearchParams(new FormData(form));
    for (;;) {
      try {
        const answer = await fetch(form.action, { method: "POST", body, redirect: "follow" });
        if (answer.ok) { location.assign(answer.url); return; }
        if (answer.status < 429) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          say.textContent = page.querySelector(".say, .lead p")?.textContent ?? "Not saved: please load the page again.";
          busy = false;
          wait();
          return;
        }
      } catch { /* the server is away: the answer is still here */ }
      say.textContent = "Not saved yet: the server does not answer. Trying again; please leave this page open.";
      await new Promise((again) => setTimeout(again, 1500));
    }
  }

  fields.forEach((field, at) => field.addEventListener("focusin", () => goTo(at, false)));
  document.addEventListener("keydown", keys);
  form.addEventListener("submit", send);
  larger(form, dialog);
  goTo(0, false);
  wait();
  if (Number(form.dataset.fps)) {
    form.querySelectorAll(".frame").forEach((frame) => videos.show(frame, [frame.dataset.video], 0));
    videos.at(Number(form.dataset.fps), form.querySelectorAll(".play"));
    videos.begin();
  }
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("form.trial").forEach(trial));
