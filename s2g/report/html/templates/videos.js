"use strict";
// Synchronized videos: visible ones play at the same time position, and all start and stop together.

const videos = (() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const screens = new Map();  // by the element they cover
  let [fps, time, running, begun, buttons] = [1, 0, false, false, []];

  const playing = () => [...screens.values()].flatMap((screen) => screen.videos).filter((video) => video.readyState >= 2);

  function made(source) {
    const video = document.createElement("video");
    // The picture below has the words, and the clock is no control of its own.
    Object.assign(video, { muted: true, loop: true, playsInline: true, preload: "auto", src: source });
    for (const name of ["muted", "playsinline", "aria-hidden", "disablepictureinpicture"]) video.setAttribute(name, "true");
    video.addEventListener("loadeddata", () => {
      video.currentTime = time % video.duration;
      if (running) start(video);
    }, { once: true });
    video.addEventListener("seeked", () => video.classList.add("ready"), { once: true });
    return video;
  }

  function start(video) {
    video.play().catch((error) => { if (error.name === "NotAllowedError") set(false); });  // some forbid it until a click
  }

  // Only what is in sight is decoded.
  function fill(screen) {
    const wanted = begun && screen.seen ? screen.sources : [];
    if (wanted.length !== screen.loaded.length || wanted.some((source, at) => source !== screen.loaded[at])) {
      screen.videos.forEach((video) => { video.removeAttribute("src"); video.load(); video.remove(); });
      [screen.loaded, screen.videos] = [wanted, wanted.map(made)];
      screen.box.append(...screen.videos);
    }
    screen.videos.forEach((video, at) => video.classList.toggle("front", at === screen.front));
  }

  const sight = new IntersectionObserver((changes) => changes.forEach(({ target, isIntersecting }) => {
    const screen = screens.get(target);
    screen.seen = isIntersecting;
    fill(screen);
  }), { rootMargin: "50px" });

  // One leads. Another that is a frame away from it jumps to it, one that is less goes a little slower or faster.
  function tick() {
    if (!running) return;
    const [first, ...others] = playing().filter((video) => !video.seeking);
    if (first) [time, first.playbackRate] = [first.currentTime, 1];
    for (const video of others) {
      const away = video.currentTime - time;
      const off = away - first.duration * Math.round(away / first.duration);  // the end is next to the beginning
      if (Math.abs(off) > 0.7 / fps) video.currentTime = time % video.duration;
      else video.playbackRate = Math.abs(off) < 0.1 / fps ? 1 : off > 0 ? 0.9 : 1.1;
    }
    requestAnimationFrame(tick);
  }

  function set(on) {
    const was = running;
    running = on;
    begun ||= on;
    if (on) {
      screens.forEach(fill);
      playing().forEach(start);
      if (!was) requestAnimationFrame(tick);
    } else {
      time = (Math.floor(time * fps) + 0.5) / fps;  // within a frame, so that all show the same one
      playing().forEach((video) => { video.pause(); video.currentTime = time % video.duration; });
    }
    buttons.forEach((button) => {
      button.textContent = on ? "pause" : "play";
      button.classList.toggle("running", on);
    });
  }

  const toggle = () => set(!running);
  calm.addEventListener("change", () => { if (calm.matches) set(false); });

  return {
    toggle,
    // What lies over an element: its first call watches it, the next ones change the videos or which of them is seen.
    show(box, sources, front) {
      if (!screens.has(box)) {
        screens.set(box, { box, videos: [], loaded: [], seen: false });
        sight.observe(box);
      }
      fill(Object.assign(screens.get(box), { sources, front }));
    },
    at(pace, all) {
      [fps, buttons] = [pace, [...all]];
      buttons.forEach((button) => { button.hidden = false; button.addEventListener("click", toggle); });
    },
    begin() { set(!calm.matches); },
  };
})();

