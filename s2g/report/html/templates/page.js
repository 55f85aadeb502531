// Gallery and sortable tables.

function gallery(box) {
  const find = (selector) => box.querySelector(selector);
  const { methods, items, held, start, fps } = JSON.parse(find(".data").textContent);
  const tabs = [...box.querySelectorAll("[role=tab]")];
  const strip = find(".wall");
  const wall = [...strip.querySelectorAll("button")];
  const [large, frame, panel, mark, hold] = [".large", ".frame", "#shown", ".held", ".hold"].map(find);
  const still = (shot) => shot.poster || shot.src;
  // Decoded once and kept, so that a flip is one repaint.
  const kept = items.flatMap((item) => item.shots.map((shot) => Object.assign(new Image(), { src: still(shot) })));
  box.kept = kept;
  let item = start;
  let method = methods.length - 1;

  const wrong = (shot) => Object.keys(shot.marks).filter((name) => !shot.marks[name]);
  const alt = (of, at, shot) =>
    `${fps ? "video: " : ""}${of.caption}, ${methods[at].label}${wrong(shot).length ? ` (wrong ${wrong(shot).join(", ")})` : ""}`;
  const span = (kind, ...inside) => {
    const made = Object.assign(document.createElement("span"), { className: kind });
    made.append(...inside);
    return made;
  };

  function showLarge(at) {
    const shot = items[item].shots[at];
    large.src = still(shot);
    if (fps) videos.show(frame, items[item].shots.map((one) => one.src), at);
    large.alt = alt(items[item], at, shot);
    frame.classList.toggle("wrong", wrong(shot).length > 0);
    find(".verdict").replaceChildren(...Object.entries(shot.marks).map(([name, right]) =>
      span(right ? "ok" : "bad", name, span("spoken", right ? " right" : " wrong"))));
    find(".remark").textContent = shot.remark;
  }

  function show(toItem, toMethod) {
    const moved = toItem !== item;
    const flipped = toMethod !== method;
    [item, method] = [toItem, toMethod];
    showLarge(method);
    find(".caption").textContent = items[item].caption;
    find(".place").textContent = `noise ${items[item].name}`;
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === method));
      tab.tabIndex = at === method ? 0 : -1;
      if (moved) tab.querySelector("img").src = still(items[item].shots[at]);
    });
    panel.setAttribute("aria-labelledby", tabs[method].id);
    wall.forEach((button, at) => {
      button.setAttribute("aria-pressed", String(at === item));
      button.tabIndex = at === item ? 0 : -1;
      if (!flipped) return;
      const shot = items[at].shots[method];
      const image = button.querySelector("img");
      [image.src, image.alt] = [still(shot), alt(items[at], method, shot)];
      button.classList.toggle("wrong", wrong(shot).length > 0);
    });
    hold.disabled = method === held;
    if (moved) strip.scrollTo({ left: wall[item].offsetLeft - strip.clientWidth / 2 });  // where it is one, on a phone
  }

  function go(toItem, toMethod) {
    show((toItem + items.length) % items.length, (toMethod + methods.length) % methods.length);
    const state = new URLSearchParams({ item: items[item].name, method: methods[method].name });
    quietly(() => history.replaceState(null, "", `#${state}`));
  }

  function holding(on) {
    if (on ? method === held : mark.hidden) return;
    mark.hidden = !on;
    mark.textContent = methods[held].label;
    showLarge(on ? held : method);
  }

  function places(hash) {
    const state = new URLSearchParams(hash.slice(1));
    const at = items.findIndex((one) => one.name === state.get("item"));
    return [at, methods.findIndex((one) => one.name === state.get("method"))];
  }

  function fromHash() {
    const [at, by] = places(location.hash);
    if (at < 0 && by < 0) return false;
    show(at < 0 ? item : at, by < 0 ? method : by);
    return true;
  }

  function reveal() {
    const place = panel.getBoundingClientRect();
    if (place.bottom < 0 || place.top > innerHeight) box.scrollIntoView({ block: "start" });
  }

  tabs.forEach((tab, at) => tab.addEventListener("click", () => go(item, at)));
  wall.forEach((button, at) => button.addEventListener("click", () => go(at, method)));
  box.querySelectorAll(".step").forEach((button) =>
    button.addEventListener("click", () => go(item + Number(button.dataset.step), method)));

  for (const surface of [frame, hold]) {
    surface.addEventListener("pointerdown", (event) => { if (event.button === 0) holding(true); });
    surface.addEventListener("contextmenu", (event) => { if (event.pointerType === "touch") event.preventDefault(); });
  }
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => holding(false));
  hold.addEventListener("keydown", (event) => { if ([" ", "Enter"].includes(event.key)) holding(true); });
  window.addEventListener("keyup", (event) => { if (["c", " ", "Enter"].includes(event.key)) holding(false); });

  window.addEventListener("keydown", (event) => {
    const { key, target } = event;
    // A key with a modifier is the browser's, and arrows scroll a table that has the focus.
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key.startsWith("Arrow") && target instanceof Element && target.closest(".scroll, pre")) return;
    const inside = box.contains(document.activeElement);
    if (/^[1-9]$/.test(key) && Number(key) <= methods.length) go(item, Number(key) - 1);
    else if (key === "ArrowLeft" || key === "ArrowRight") go(item, method + (key === "ArrowRight" ? 1 : -1));
    else if (key === "j" || (inside && key === "ArrowDown")) go(item + 1, method);
    else if (key === "k" || (inside && key === "ArrowUp")) go(item - 1, method);
    else if (key === "p" && fps) { if (!event.repeat) videos.toggle(); }
    else if (key === "c") { if (!event.repeat) holding(true); }
    else return;
    event.preventDefault();
    // Focus follows the choice where it already was, so that the next Tab goes on from there.
    if (document.activeElement.matches(".wall button")) wall[item].focus();
    if (document.activeElement.matches("[role=tab]")) tabs[method].focus();
    reveal();
  });

  // A link into the gallery is followed by the eye and by the focus, also when it is the one that was followed before.
  function follow() {
    if (!fromHash()) return;
    box.scrollIntoView({ block: "start" });
    wall[item].focus({ preventScroll: true });
  }
  window.addEventListener("hashchange", follow);
  document.querySelectorAll('a[href^="#item="]').forEach((link) =>
    link.addEventListener("click", () => { if (link.hash === location.hash) follow(); }));

  if (fps) {
    videos.at(fps, document.querySelectorAll(".play"));
    document.querySelectorAll(".grid.videos a").forEach((link) => {
      const [at, by] = places(link.hash);
      videos.show(link, [items[at].shots[by].src], 0);
    });
    showLarge(method);
    videos.begin();
  }
  hold.disabled = method === held;
  if (fromHash()) box.scrollIntoView({ block: "start", behavior: "instant" });
}

// A click on a column's name sorts by it, a second one the other way round, a third gives the table's own order back.
function sortable(table) {
  const body = table.tBodies[0];
  const own = [...body.rows];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const text = (row, at) => row.cells[at].textContent.trim();
  const number = (words) => parseFloat(words.replace("−", "-").replace(/^\+/, "").replaceAll(",", ""));

  function order(at, down) {
    const filled = own.filter((row) => text(row, at));
    const numbers = filled.filter((row) => !Number.isNaN(number(text(row, at)))).length > filled.length / 2;
    const worth = (row) => (numbers ? number(text(row, at)) : text(row, at).toLowerCase());
    const known = (row) => (numbers ? !Number.isNaN(worth(row)) : worth(row) !== "");
    const compare = (a, b) => (numbers ? worth(a) - worth(b) : worth(a).localeCompare(worth(b)));
    // What has no number stays below, whichever way.
    const rest = own.filter((row) => !known(row));
    return [...own.filter(known).sort((a, b) => (down ? -1 : 1) * compare(a, b)), ...rest];
  }

  heads.forEach((head, at) => {
    if (!head.textContent.trim()) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      const state = next === undefined ? "ascending" : next;
      if (state) head.setAttribute("aria-sort", state);
      body.append(...(state ? order(at, state === "descending") : own));
    });
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".gallery").forEach(gallery);
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
