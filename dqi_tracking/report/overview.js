// Draws the plots with plotly in place of the drawings that the page has without scripts.
(async () => {
  "use strict";
  if (!("DecompressionStream" in window)) return;
  const text = (id) => document.getElementById(id).textContent;
  const make = (tag, given) => Object.assign(document.createElement(tag), given);
  const packed = Uint8Array.from(atob(text("plotly")), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(make("script", { textContent: await new Response(stream).text() }));
  const data = JSON.parse(text("data"));
  const many = data.name.length > 1000;
  const shown = { score: 0, log: false };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // plotly would offer to send the chart to its makers' server
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d"],
  };

  const axis = (title, more) => ({
    title: { text: title, standoff: 8 }, automargin: true, zeroline: false,
    color: colour("--soft"), gridcolor: colour("--rule"), linecolor: colour("--rule"), ...more,
  });

  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    margin: { l: 10, r: 16, t: 34, b: 10 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--soft") },
    hoverlabel: {
      bgcolor: colour("--page"), bordercolor: colour("--soft"), font: { color: colour("--ink") }, align: "left",
    },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
    ...more,
  });

  const drawHistogram = () => {
    const { name, edges, counts, median } = data.histograms[shown.score];
    const bars = {
      type: "bar", marker: { color: colour("--bar") }, textposition: "none", hoverinfo: "text",
      x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: counts,
      width: counts.map((_, i) => (edges[i + 1] - edges[i]) * 0.92),
      hovertext: counts.map((n, i) => `${edges[i]} to ${edges[i + 1]}: ${n} ${n === 1 ? "run" : "runs"}`),
    };
    const end = edges[edges.length - 1];
    return Plotly.react(histogram, [bars], layout({
      xaxis: axis(name.startsWith("DQI") ? name : `${name} phase`, { range: [edges[0], end] }),
      yaxis: axis("runs", { rangemode: "tozero", ...(Math.max(...counts) < 6 && { dtick: 1 }) }),
      shapes: median.map(({ at }) => ({
        type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { color: colour("--ink"), width: 1.5, dash: "dash" },
      })),
      annotations: median.map(({ at, label }) => ({
        x: at, y: 1, yref: "paper", yanchor: "bottom", text: label, showarrow: false, font: { color: colour("--ink") },
        xanchor: at > 0.3 * edges[0] + 0.7 * end ? "right" : "left",
      })),
    }), config);
  };

  const drawPhases = () => {
    const above = (values) => values.map((value) => (shown.log && value === 0 ? null : value));
    const end = data.high;
    const start = shown.log ? Math.min(end / 10, ...[...data.early, ...data.late].filter((value) => value > 0)) : 0;
    const equal = {
      type: "scatter", mode: "lines", x: [start, end], y: [start, end], hoverinfo: "skip",
      line: { color: colour("--soft"), width: 1, dash: "dot" },
    };
    const dots = {
      type: "scatter", mode: "markers", x: above(data.early), y: above(data.late), hoverinfo: "text",
      hovertext: data.name.map((name, i) =>
        `${name}<br>DQI ${data.dqi[i]}, early ${data.early[i]}, late ${data.late[i]}`),
      marker: { color: colour("--bar"), size: many ? 4 : 7, opacity: many ? 0.35 : 0.7 },
    };
    const scale = shown.log ? { type: "log", autorange: true, exponentformat: "power", dtick: 1 }
      : { range: [-0.02 * end, 1.02 * end] };
    return Plotly.react(phases, [equal, dots], layout({
      xaxis: axis("early", scale), yaxis: axis("late", { ...scale }),
    }), config);
  };

  const choices = (title, inputs) => {
    const set = make("fieldset");
    set.append(make("legend", { textContent: title }));
    for (const [name, given, change] of inputs) {
      const input = make("input", given);
      input.addEventListener("change", () => change(input));
      const label = make("label");
      label.append(input, name);
      set.append(label);
    }
    return set;
  };

  const histogram = document.getElementById("histogram");
  const phases = document.getElementById("phases");
  histogram.before(choices("Show", data.histograms.map(({ name }, which) => [
    name, { type: "radio", name: "score", checked: which === 0 },
    () => { shown.score = which; drawHistogram(); },
  ])));
  phases.before(choices("Axes", [["logarithmic, without runs at 0", { type: "checkbox" },
    (input) => { shown.log = input.checked; drawPhases(); }]]));
  for (const place of [histogram, phases]) place.closest("figure").classList.add("live");
  const draw = () => Promise.all([drawHistogram(), drawPhases()]);
  await draw();
  phases.on("plotly_click", ({ points: [{ curveNumber, pointNumber }] }) => {
    const page = data.start + data.tail[pointNumber];
    if (curveNumber === 1 && /^https?:\/\//.test(page)) window.open(page, "_blank", "noopener,noreferrer");
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
