const toggle = document.querySelector("#theme");
const say = () => toggle.setAttribute("aria-pressed", document.documentElement.classList.contains("dark"));
toggle.hidden = false;
toggle.addEventListener("click", () => { window.toggleTheme(); say(); });
say();

// A link to a run opens it.
const open = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.closest("details");
  if (details) {
    details.open = true;
    target.scrollIntoView();
  }
};
window.addEventListener("hashchange", open);
open();

// On paper there is nothing to click: all is shown, and then as it was.
let closed = [];
window.addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((each) => { each.open = true; });
});
window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));

for (const button of navigator.clipboard ? document.querySelectorAll("button.copy") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
  });
}

if (tablesAddress) {
  const { ITable } = await import(tablesAddress);
  for (const table of document.querySelectorAll("table.sortable")) {
    new ITable(table, {
      paging: false,
      info: false,
      order: [],
      autoWidth: false,
      columnDefs: [{ targets: "pick", columnControl: [[{ extend: "searchList", orthogonal: "filter" }]] }],
      layout: { topStart: "search", topEnd: "info", bottomStart: null, bottomEnd: null },
      language: { search: "Filter: ", info: "_TOTAL_ rows", infoFiltered: "of _MAX_", zeroRecords: "No row matches the filter",
        columnControl: { dropdown: "Pick values", searchList: "[title]", list: { search: "Find a value", all: "All", none: "None", empty: "Empty" } } },
    });
    // Each button says whose values it is about, for those who hear it apart from its column.
    for (const name of table.querySelectorAll("th.pick")) {
      name.querySelector("button").setAttribute("aria-label", `Pick values of ${name.querySelector(".dt-column-title").textContent}`);
    }
  }
  document.documentElement.dataset.ready = "yes";
}
