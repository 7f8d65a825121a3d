// Finds cells; `CELLS` is in cells.js: [table, row, column, value, page].
"use strict";

const MOST = 200;
const query = document.getElementById("query");
const shown = document.getElementById("found");
const texts = CELLS.map((cell) => cell.slice(0, 4).join(" ").toLowerCase());

function find() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? CELLS.filter((_, i) => words.every((word) => texts[i].includes(word))) : [];
  const rows = found.slice(0, MOST).map((cell) => {
    const row = document.createElement("tr");
    cell.slice(0, 4).forEach((text, i) => {
      const place = row.appendChild(document.createElement("td"));
      const link = i === 3 ? place.appendChild(document.createElement("a")) : place;
      if (i === 3) link.href = cell[4];
      link.textContent = text;
    });
    return row;
  });
  shown.tBodies[0].replaceChildren(...rows);
  shown.hidden = rows.length === 0;
  const more = found.length > MOST ? `, the first ${MOST} are shown` : "";
  document.getElementById("count").textContent = words.length ? `${found.length} of ${CELLS.length} cells${more}` : "";
  history.replaceState(null, "", words.length ? `#${encodeURIComponent(query.value)}` : location.pathname + location.search);
}

try {
  query.value = decodeURIComponent(location.hash.slice(1));
} catch {  // an address typed by hand, such as #50%
  query.value = location.hash.slice(1);
}
query.addEventListener("input", find);
find();
query.focus();
