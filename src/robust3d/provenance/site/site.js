// The lineage graph answers to a choice: the step's details, which stand below as text, are shown beside it.
// Without this file every link still works and leads to the same details.
"use strict";

const graphs = document.querySelectorAll(".graph svg");

// What a box is joined to lights up while it is pointed at, focused or chosen.
function light(svg, id) {
  for (const path of svg.querySelectorAll(".lines path")) {
    path.classList.toggle("lit", id !== null && (path.dataset.from === id || path.dataset.to === id));
  }
}

for (const svg of graphs) {
  const chosen = () => svg.querySelector(".box[aria-current]")?.dataset.node ?? null;
  for (const box of svg.querySelectorAll(".box")) {
    for (const event of ["pointerenter", "focus"]) box.addEventListener(event, () => light(svg, box.dataset.node));
    for (const event of ["pointerleave", "blur"]) box.addEventListener(event, () => light(svg, chosen()));
  }
}

// A graph that is wider than its place starts at its middle, where the shapes are, and can be shrunk to be seen whole.
for (const svg of graphs) {
  const place = svg.parentElement;
  if (place.scrollWidth <= 1.2 * place.clientWidth) {
    place.classList.toggle("fit", place.scrollWidth > place.clientWidth);
    continue;
  }
  const middle = () => { place.scrollLeft = (place.scrollWidth - place.clientWidth) / 2; };
  const button = document.createElement("button");
  button.type = "button";
  button.className = "size";
  const name = () => { button.textContent = place.classList.contains("fit") ? "Show at full size" : "Show all of it"; };
  button.addEventListener("click", () => { place.classList.toggle("fit"); name(); middle(); });
  name();
  place.before(button);
  middle();
}

const panel = document.querySelector(".explorer .panel");

function close(box) {
  panel.hidden = true;
  for (const other of document.querySelectorAll(".box[aria-current]")) other.removeAttribute("aria-current");
  for (const svg of graphs) light(svg, null);
  box.focus();
}

function open(box) {
  const source = document.getElementById(`step-${box.dataset.node}`);
  const copy = source.cloneNode(true);
  for (const element of [copy, ...copy.querySelectorAll("[id]")]) element.removeAttribute("id");
  const heading = document.createElement("h3");
  heading.tabIndex = -1;
  heading.textContent = source.dataset.title;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Close";
  button.addEventListener("click", () => close(box));
  panel.replaceChildren(button, heading, copy);
  panel.hidden = false;
  panel.onkeydown = (event) => { if (event.key === "Escape") close(box); };
  for (const other of document.querySelectorAll(".box[aria-current]")) other.removeAttribute("aria-current");
  box.setAttribute("aria-current", "true");
  light(box.closest("svg"), box.dataset.node);
  heading.focus({ preventScroll: true });
  if (heading.getBoundingClientRect().top > window.innerHeight * 0.8 || heading.getBoundingClientRect().top < 0) {
    heading.scrollIntoView({ block: "start" });
  }
}

if (panel) {
  for (const box of document.querySelectorAll(".explorer .box")) {
    box.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(box);
    });
  }
}

// A link to a step's details finds them open.
function reveal() {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const details = target?.closest("details");
  if (details) { details.open = true; target.scrollIntoView(); }
}
window.addEventListener("hashchange", reveal);
reveal();

// Paper cannot be clicked: what is folded is printed, but not the long lists inside.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")].filter((d) => !d.parentElement.closest("details"));
  for (const details of folded) details.open = true;
});
window.addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
