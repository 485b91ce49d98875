// The page is whole without this: it filters and sorts the table of rules, and opens what is folded for the printer.
"use strict";
(function () {
  var table = document.getElementById("rule-table");
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
  if (!table) { return; }
  var body = table.tBodies[0];
  var rows = Array.from(body.rows).map(function (row, place) {
    return { row: row, place: place, text: row.textContent.toLowerCase() };
  });
  var words = document.getElementById("filter-words");
  var risk = document.getElementById("filter-risk");
  var group = document.getElementById("filter-group");
  var by = document.getElementById("filter-by");
  var count = document.getElementById("filter-count");

  function filter() {
    var wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    var shown = 0;
    rows.forEach(function (one) {
      var data = one.row.dataset;
      var fits = Number(data.risk) >= Number(risk.value) && (!group.value || data.group === group.value) &&
        (!by.value || data.by === by.value) &&
        wanted.every(function (word) { return one.text.indexOf(word) >= 0; });
      one.row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = (shown === rows.length ? "" : shown + " of ") + rows.length + (rows.length === 1 ? " rule" : " rules");
  }

  function key(one, column) {
    var cell = one.row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  }

  function sort(header, column) {
    var down = header.getAttribute("aria-sort") === "ascending" ||
      (!header.hasAttribute("aria-sort") && body.rows[0].cells[column].dataset.value !== undefined);
    table.querySelectorAll("th").forEach(function (one) { one.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    var sorted = rows.map(function (one) { return { key: key(one, column), one: one }; }).sort(function (a, b) {
      var order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return (down ? -order : order) || a.one.place - b.one.place;
    });
    sorted.forEach(function (pair) { body.appendChild(pair.one.row); });
  }

  Array.from(table.tHead.rows[0].cells).forEach(function (header, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", function () { sort(header, column); });
    header.textContent = "";
    header.appendChild(button);
  });
  [words, risk, group, by].forEach(function (control) { control.addEventListener("input", filter); });
  var form = words.form;
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.hidden = false;
  filter();
})();
