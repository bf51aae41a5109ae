(() => {
  "use strict";
  const points = JSON.parse(document.getElementById("map-data").textContent);
  const svg = document.getElementById("map-svg");
  const ring = document.getElementById("map-ring");
  const tip = document.getElementById("map-tip");
  const [picture, text] = tip.children;
  const columns = Number(svg.dataset.columns);
  const reach = 18; // pixels between pointer and point

  const nearest = (x, y) => {
    let best = -1, least = Infinity;
    points.forEach(([px, py], i) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) { least = distance; best = i; }
    });
    return [best, Math.sqrt(least)];
  };

  const hide = () => { tip.hidden = true; ring.setAttribute("visibility", "hidden"); };

  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const [i, distance] = nearest(x, y);
    if (i < 0 || distance > reach * scale) return hide();
    const [px, py, caption] = points[i];
    ring.setAttribute("cx", px);
    ring.setAttribute("cy", py);
    ring.setAttribute("visibility", "visible");
    picture.style.setProperty("--x", i % columns);
    picture.style.setProperty("--y", Math.floor(i / columns));
    picture.setAttribute("aria-label", caption);
    text.textContent = caption;
    tip.hidden = false;
    const left = px / scale + 14, top = py / scale + 14;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = `${Math.max(0, left + width > box.width ? left - width - 28 : left)}px`;
    tip.style.top = `${Math.max(0, top + height > box.height ? top - height - 28 : top)}px`;
  };

  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") hide();
  });

  const buttons = [...document.querySelectorAll(".legend button")];
  const groups = [...svg.querySelectorAll("g[data-group]")];
  buttons.forEach((button) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    const chosen = buttons.filter((b) => b.getAttribute("aria-pressed") === "true");
    const wanted = new Set(chosen.map((b) => b.dataset.group));
    groups.forEach((group) => group.classList.toggle(
      "dim", wanted.size > 0 && !wanted.has(group.dataset.group)));
  }));
})();
