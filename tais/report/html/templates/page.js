"use strict";
(() => {
  const controls = document.querySelector(".controls");
  const items = Array.from(document.querySelectorAll(".item"));
  if (!controls || !items.length) return;
  controls.hidden = false;
  const field = (name) => controls.querySelector(`[name="${name}"]`);
  const shown = document.getElementById("items-shown");
  const texts = new Map();
  const textOf = (item) => {
    if (!texts.has(item)) {
      const parts = item.querySelectorAll("summary > code, .text");
      texts.set(item, Array.from(parts, (part) => part.textContent).join("\n").toLowerCase());
    }
    return texts.get(item);
  };
  const matches = (item, words) => {
    for (const name of ["contrast", "battery"]) {
      const wanted = field(name).value;
      if (wanted && item.dataset[name] !== wanted) return false;
    }
    const kind = field("kind").value;
    if (kind && !item.dataset.kind.split(" ").includes(kind)) return false;
    return words.every((word) => textOf(item).includes(word));
  };
  const apply = () => {
    const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const item of items) {
      item.hidden = !matches(item, words);
      if (!item.hidden) count += 1;
    }
    shown.textContent = `${count} of ${items.length} shown`;
    for (const group of document.querySelectorAll(".backing")) {
      const found = Array.from(group.querySelectorAll(".item")).some((item) => !item.hidden);
      // What is asked for is not left folded away.
      if (found && (words.length || field("contrast").value)) group.open = true;
    }
  };
  let waiting = 0;
  field("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  for (const name of ["contrast", "battery", "kind"]) field(name).addEventListener("change", apply);
  const openAll = (open) => {
    for (const item of items) if (!item.hidden) item.open = open;
    if (open) for (const group of document.querySelectorAll(".backing")) group.open = true;
  };
  field("open").addEventListener("click", () => openAll(true));
  field("close").addEventListener("click", () => openAll(false));
  apply();
})();
