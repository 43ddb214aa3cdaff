// Sorts tables, opens the section of a link, compares crops and enlarges them. Without it, the page shows all the same.
"use strict";

for (const button of document.querySelectorAll("table.leaderboard thead button")) button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0], place = head.cellIndex;
  const down = head.getAttribute("aria-sort") !== "descending";
  const value = row => {
    const cell = row.cells[place], text = cell.dataset.value ?? cell.textContent.trim();
    return text === "" ? null : isNaN(text) ? text : Number(text);
  };
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === null || y === null) return (x === null) - (y === null);
    return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  };
  body.append(...[...body.rows].sort(order));
});

const openTarget = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", openTarget);
openTarget();

// A click on the link of an open page whose hash is already there changes nothing that `hashchange` would tell.
for (const link of document.querySelectorAll("a[href^='#']")) link.addEventListener("click", () => setTimeout(openTarget));

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const details of closed) details.open = true;
});
addEventListener("afterprint", () => { for (const details of closed) details.open = false; });

for (const crops of document.querySelectorAll(".crops")) {
  const tiles = [...crops.querySelectorAll(".zoom:not(.error) img")], compare = crops.querySelector(".compare");
  if (tiles.length < 2) continue;
  const stage = compare.querySelector(".stage"), range = compare.querySelector("input");
  const sides = [["left", ".over", 0], ["right", ".under", 1]].map(([side, image, first]) => ({
    select: compare.querySelector(`select.${side}`), label: compare.querySelector(`.label.${side}`),
    image: compare.querySelector(image), first,
  }));
  const show = () => {
    for (const { select, label, image } of sides) {
      image.src = tiles[select.value].src;
      image.alt = label.textContent = tiles[select.value].alt;
    }
    stage.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % ${sides[0].image.alt}, the rest ${sides[1].image.alt}`);
  };
  for (const { select, first } of sides) {
    select.append(...tiles.map((tile, number) => new Option(tile.alt, number)));
    select.value = first;
    select.addEventListener("change", show);
  }
  range.addEventListener("input", show);
  const follow = event => {
    const box = stage.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    show();
  };
  stage.addEventListener("pointerdown", event => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", event => { if (event.buttons) follow(event); });
  show();
  compare.hidden = false;
}

const dialog = document.querySelector("dialog.enlarged");
if (dialog) {
  const image = dialog.querySelector("img"), caption = dialog.querySelector(".caption");
  let shown = [], number = 0;
  const show = step => {
    number = (number + step + shown.length) % shown.length;
    image.src = shown[number].src;
    image.alt = caption.textContent = shown[number].alt;
  };
  for (const button of document.querySelectorAll(".zoom")) button.addEventListener("click", () => {
    const kind = button.classList.contains("error") ? ".zoom.error img" : ".zoom:not(.error) img";
    shown = [...button.closest(".crops, .strip").querySelectorAll(kind)];
    number = shown.indexOf(button.querySelector("img"));
    show(0);
    dialog.showModal();
  });
  dialog.querySelector(".before").addEventListener("click", () => show(-1));
  dialog.querySelector(".after").addEventListener("click", () => show(1));
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", event => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
  });
}
