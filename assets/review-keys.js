// The keys of the panel "Review". FiftyOne's Python panels have none: a button of that panel names its key in
// `data-review-key`, and this clicks it. FiftyOne loads the file with the plugin (`js_bundle` in fiftyone.yml).
(function () {
  "use strict";
  const elsewhere = "input, textarea, select, [contenteditable], [role=dialog], [role=listbox], [data-cy=modal]";

  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target instanceof Element && event.target.closest(elsewhere)) return;
      if (document.querySelector("[data-cy=modal], [role=dialog], [role=listbox]")) return;
      const key = CSS.escape(event.key.toLowerCase());
      const button = document.querySelector(`button[data-review-key="${key}"]`);
      // A panel in another tab is not shown.
      if (button === null || button.disabled || button.offsetParent === null) return;
      event.preventDefault();
      event.stopPropagation();
      button.click();
    },
    true
  );
})();
