"""The widgets that all tabs are built of: text, tables, charts, choices and buttons, in rows that wrap.

Every widget lies directly in the panel. ``pick_one`` takes the place of FiftyOne's inputs (``choices`` says why). A
widget takes the whole width unless it names a least width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fiftyone.operators import types

Handler = Callable[..., Any]

#: Left and right of everything, in the App's own units of 8 px.
PADDING = 2


def page() -> tuple[types.Object, types.GridView]:
    """An empty panel, and the view that lays out its widgets."""
    grid = {"sx": {"display": "flex", "flexWrap": "wrap", "alignItems": "flex-start", "gap": 2, "p": PADDING, "pb": 6}}
    return types.Object(), types.GridView(componentsProps={"grid": grid})


def item(width: int | None = None, **sx: Any) -> dict[str, Any]:
    """The room of a widget: ``width`` pixels or what there is, growing to fill the row; the whole row by default."""
    if width is None:
        return {"item": {"sx": sx}}
    basis = {"width": "auto", "minWidth": 0, "flex": f"1 1 {width}px", "maxWidth": "100%"}
    return {"item": {"sx": {**basis, **sx}}}


def text(panel: types.Object, name: str, markdown: str, *, width: int | None = None, **sx: Any) -> None:
    """A paragraph in Markdown; a heading in it (``###``) is the size of a heading inside a panel, not on a page."""
    sx = {"& h3": {"fontSize": "1.25rem", "my": 0, "fontWeight": 600}, "& p": {"my": 0.5}} | sx
    panel.str(name, default=markdown, view=types.MarkdownView(componentsProps=item(width, **sx)))


def button(
    panel: types.Object,
    name: str,
    label: str,
    on_click: Handler,
    *,
    icon: str | None = None,
    main: bool = False,
    disabled: bool = False,
    **params: Any,
) -> None:
    """A button as wide as its label; the ``main`` one of a tab is filled."""
    panel.btn(
        name,
        label,
        icon=icon,
        on_click=on_click,
        params=params,
        disabled=disabled,
        variant="contained" if main else "outlined",
        componentsProps={"item": {"sx": {"width": "auto"}}, "button": {"sx": {"whiteSpace": "nowrap"}}},
    )


class OperatorButton(NamedTuple):
    """A button that opens the form of ``operator``, filled in with ``form``."""

    label: str
    operator: str
    icon: str
    form: dict[str, Any] | None = None


def operator_button(
    panel: types.Object, name: str, content: OperatorButton, on_click: Handler, *, main: bool = False
) -> None:
    """Draw an ``OperatorButton``; the handler is called with ``operator`` and ``form``."""
    label, operator, icon, form = content
    button(panel, name, label, on_click, icon=icon, main=main, operator=operator, form=form or {})


def new_row(panel: types.Object, name: str) -> None:
    """Begin a new row, also where the last one has room left."""
    view = types.MarkdownView(componentsProps=item(height=0, overflow="hidden", mt=-PADDING))
    panel.str(name, default="", view=view)


def tab(panel: types.Object, value: str, label: str, on_click: Handler, *, chosen: bool) -> None:
    """One of the tabs, which stand in a row; the handler is called with ``name`` "tab" and ``value``."""
    colour = "primary.main" if chosen else "text.secondary"
    line = {"borderBottom": "2px solid" if chosen else "2px solid transparent !important", "borderRadius": 0}
    panel.btn(
        f"tab_{value}",
        label,
        on_click=on_click,
        params={"name": "tab", "value": value},
        variant="text",
        componentsProps={
            "item": {"sx": {"width": "auto"}},
            "button": {"role": "tab", "aria-selected": chosen, "sx": {**line, "color": colour, "px": 1.5}},
        },
    )


def pick_one(
    panel: types.Object,
    name: str,
    label: str,
    values: Mapping[Any, str],
    chosen: Any,
    on_click: Handler,
    *,
    steps: Mapping[Any, str] | None = None,
) -> None:
    """``label``, then a button for each of ``values`` (value -> caption), the chosen one filled.

    ``steps`` are further values that are never shown as chosen, such as one a little above. The handler is called with
    ``name`` and ``value``.
    """
    new_row(panel, f"{name}_row")
    text(panel, f"{name}_label", label, width=130, flex="0 0 auto", alignSelf="center")
    for index, (value, caption) in enumerate([*values.items(), *(steps or {}).items()]):
        panel.btn(
            f"{name}_{index}",
            caption,
            on_click=on_click,
            params={"name": name, "value": value},
            variant="contained" if value == chosen and index < len(values) else "outlined",
            componentsProps={
                "item": {"sx": {"width": "auto", "ml": -1}},
                "button": {"sx": {"minWidth": 0, "px": 1.25, "py": 0.25, "whiteSpace": "nowrap"}},
            },
        )
    new_row(panel, f"{name}_end")


def table(
    panel: types.Object,
    name: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, str]],
    *,
    label: str,
    description: str,
    on_click: Handler,
    width: int | None = None,
) -> None:
    """``rows`` under ``columns`` (key -> heading); a click tells the handler row and column."""
    view = types.TableView(
        label=label,
        description=description,
        on_click_cell=on_click,
        componentsProps={
            **item(width),
            "table": {"sx": {"minWidth": 0}},
            "tableBodyRow": {"sx": {"cursor": "pointer", "&:hover": {"backgroundColor": "action.hover"}}},
        },
    )
    for key, heading in columns.items():
        view.add_column(key, label=heading)
    panel.list(name, types.Object(), default=[dict(row) for row in rows], view=view)


def chart(
    panel: types.Object,
    name: str,
    figure: tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]],
    *,
    label: str,
    description: str,
    height: int = 260,
    width: int | None = None,
    on_click: Handler | None = None,
    on_selected: Handler | None = None,
) -> None:
    """A Plotly chart of ``height`` pixels; ``figure`` are its traces and its layout."""
    traces, layout = figure
    handlers = {"on_click": on_click, "on_selected": on_selected}
    panel.plot(
        name,
        data=[dict(trace) for trace in traces],
        layout=dict(layout),
        label=label,
        description=description,
        config={"displaylogo": False, "scrollZoom": False, "responsive": True, "displayModeBar": bool(on_selected)},
        height=f"{height}px",
        componentsProps=item(width, height="auto"),
        **{key: call for key, call in handlers.items() if call},
    )


def advice(panel: types.Object, name: str, heading: str, sentence: str) -> None:
    """The text of a tab that has nothing to show."""
    text(panel, name, f"### {heading}\n\n{sentence}", pt=4)
