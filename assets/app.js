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

// Two operators that Python triggers. "refresh_opened_images": FiftyOne keeps each image that was opened large as it was
// then, by dataset, view and id; its reload_dataset and reload_samples fetch the grid only, so an image that was labelled
// anew would show its old labels until the page is loaded again. This fetches those that were opened, and no others.
// "open_panel_when_shown": FiftyOne's open_panel fails while the App is still opening the dataset.
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

  class OpenPanelWhenShown extends operators.Operator {
    get config() {
      return new operators.OperatorConfig({
        name: "open_panel_when_shown",
        label: "Open a panel once its dataset is shown",
        unlisted: true,
      });
    }

    // `address`: the end of the App's address of the dataset; all else is for FiftyOne's open_panel.
    async execute({ params: { address, ...panel } }) {
      const shown = () =>
        decodeURIComponent(location.pathname).endsWith(address) && document.querySelector("[data-cy=new-panel-btn]");
      for (let tries = 0; tries < 150 && !shown(); tries++) await new Promise((done) => setTimeout(done, 200));
      if (shown()) operators.executeOperator("@voxel51/operators/open_panel", panel);
    }
  }

  for (const operator of [RefreshOpenedImages, OpenPanelWhenShown]) {
    operators.registerOperator(operator, "@diffucurate/diffucurate");
  }
})();

// What FiftyOne's own operators do not do at once: show new groups of the sidebar (`reload_dataset`), a view under the name
// that it was saved by a moment ago (`set_view`), and another form after one (`prompt_user_for_operation`).
(function () {
  "use strict";
  const { Operator, OperatorConfig, executeOperator, registerOperator } = window.__foo__ ?? {};
  const fiftyone = window.__fos__;
  // Another FiftyOne: groups and names then show when the page is loaded anew.
  if (!registerOperator || !executeOperator || !fiftyone?.getCurrentEnvironment) return;

  class Unlisted extends Operator {
    get config() {
      return new OperatorConfig({ name: this.constructor.NAME, label: this.constructor.NAME, unlisted: true });
    }
  }

  class ShowGroups extends Unlisted {
    static NAME = "show_groups";

    async execute({ state, params }) {
      state.set(fiftyone.sidebarGroupsDefinition(false), params.groups);
    }
  }

  class ShowSavedView extends Unlisted {
    static NAME = "show_saved_view";

    // `set_view` refuses a name until the page has the list of saved views, which `reload_dataset` asks for.
    async execute({ params }) {
      for (let tries = 0; tries < 40 && !isListed(params.name); tries++) {
        await new Promise((wake) => setTimeout(wake, 250));
      }
      if (isListed(params.name)) executeOperator("@voxel51/operators/set_view", { name: params.name });
    }
  }

  // Whether the page knows a saved view: a record of the store in which it keeps what the server has answered.
  function isListed(name) {
    const records = fiftyone.getCurrentEnvironment().getStore().getSource();
    return records.getRecordIDs().some((id) => {
      const record = records.get(id);
      return record?.__typename === "SavedView" && record.name === name;
    });
  }

  class OpenForm extends Unlisted {
    static NAME = "open_form";

    // A form that was sent off closes when its run has ended, and takes along whatever form was opened meanwhile.
    async execute({ params }) {
      const open = () => {
        if (document.querySelector("[data-cy=operators-prompt-modal]")) return setTimeout(open, 100);
        executeOperator("@voxel51/operators/prompt_user_for_operation", params);
      };
      setTimeout(open, 100);
    }
  }

  for (const operator of [OpenForm, ShowGroups, ShowSavedView]) registerOperator(operator, "@diffucurate/diffucurate");
})();

// What the panel "Side by side" shows: two views of one image, one on the other and cut at a slider, or beside each other.
(function () {
  "use strict";
  const { registerComponent } = window.__fop__ ?? {};
  const { createElement: make, useState } = window.React ?? {};
  if (!registerComponent || !useState) return;
  const COMPONENT = 3; // FiftyOne's PluginComponentType.Component

  function SideBySide({ schema }) {
    const { left, right, left_caption: leftCaption, right_caption: rightCaption } = schema.view;
    const [share, setShare] = useState(50);
    const [beside, setBeside] = useState(false);
    const [aspect, setAspect] = useState(1);
    const measure = ({ target }) => setAspect(target.naturalWidth / target.naturalHeight);
    // As large as leaves the whole image in sight.
    const width = `min(100%, calc((100vh - 360px) * ${aspect * (beside ? 2 : 1)}))`;
    const picture = (source, caption, style) =>
      make("img", {
        src: source,
        alt: caption,
        draggable: false,
        onLoad: source === left ? measure : undefined,
        style: { width: "100%", display: "block", ...style },
      });
    const captions = make(
      "div",
      { style: { display: "flex", justifyContent: "space-between", margin: "4px 0" } },
      make("b", null, leftCaption),
      make("b", null, rightCaption)
    );
    const modes = make(
      "label",
      { style: { display: "inline-flex", gap: 6, alignItems: "center", margin: "6px 0" } },
      make("input", { type: "checkbox", checked: beside, onChange: (event) => setBeside(event.target.checked) }),
      "Beside each other"
    );
    if (beside) {
      const half = (source, caption) => make("div", { style: { flex: "1 1 0", minWidth: 0 } }, picture(source, caption));
      const row = make("div", { style: { display: "flex", gap: 6 } }, half(left, leftCaption), half(right, rightCaption));
      return make("div", { style: { width } }, modes, captions, row);
    }
    const line = { position: "absolute", top: 0, bottom: 0, left: `${share}%`, width: 2, marginLeft: -1, background: "#fff" };
    const onTop = { position: "absolute", inset: 0, height: "100%", clipPath: `inset(0 0 0 ${share}%)` };
    const slider = make("input", {
      type: "range",
      min: 0,
      max: 100,
      value: share,
      "aria-label": "Share of the left view",
      onChange: (event) => setShare(Number(event.target.value)),
      style: { width: "100%", margin: "2px 0 6px" },
    });
    return make(
      "div",
      { style: { width } },
      modes,
      captions,
      slider,
      make(
        "div",
        { style: { position: "relative", lineHeight: 0 } },
        picture(left, leftCaption),
        picture(right, rightCaption, onTop),
        make("div", { style: { ...line, boxShadow: "0 0 3px #000" } })
      )
    );
  }

  registerComponent({ name: "DiffucurateSideBySide", component: SideBySide, type: COMPONENT, activator: () => true });
})();
