// What the plugin does in the browser, where Python cannot reach. FiftyOne loads this file with the plugin (`js_bundle` in
// fiftyone.yml).

// The keys of the panel "Review". FiftyOne's Python panels have none: a button of that panel names its key in
// `data-review-key`, and this clicks it.
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

// The operator "refresh_opened_images". FiftyOne keeps each image that was opened large as it was then, by dataset, view
// and id: its reload_dataset and reload_samples fetch the grid only, so an image that was labelled anew would show its
// old labels until the page is loaded again. This fetches those images again, all that were opened, and no others.
(function () {
  "use strict";
  const { __foo__: operators, __fos__: state } = window;
  if (!operators || !state || !state.getCurrentEnvironment) return;

  class RefreshOpenedImages extends operators.Operator {
    get config() {
      return new operators.OperatorConfig({
        name: "refresh_opened_images",
        label: "Refresh opened images",
        unlisted: true,
      });
    }

    async execute() {
      const environment = state.getCurrentEnvironment();
      for (const { operation } of environment.getStore()._roots?.values() ?? []) {
        if (operation.request.node.operation.name !== "mainSampleQuery") continue;
        environment.execute({ operation }).subscribe({ error: () => {} }); // a sample that was deleted meanwhile
      }
    }
  }

  operators.registerOperator(RefreshOpenedImages, "@diffucurate/diffucurate");
})();
