(() => {
  const data = JSON.parse(document.getElementById("sweep").textContent);
  const el = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const series = ["#2f7fc1", "#dd7f1a", "#1a9a6b", "#c24d88", "#8863bd", "#a8912a", "#4cb5c4", "#c0392b", "#7b8794", "#6b8e23"];
  const colours = () => ({ ink: css("--ink"), dim: css("--dim"), line: css("--line"), grid: css("--grid"), card: css("--card"), dot: css("--static") });
  const info = (name) => data.metrics[name] || data.axes[name];
  const title = (name) => (info(name).unit ? `${info(name).label} (${info(name).unit})` : info(name).label);
  const of = (points, name) => points.metrics[name] || points.axes[name];
  const isNumber = (name) => [...of(data.front, name), ...of(data.cloud, name)].every((v) => typeof v === "number");
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  const still = { responsive: true, displayModeBar: false };
  const base = (more) => {
    const c = colours();
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: c.dim, family: getComputedStyle(document.body).fontFamily, size: 12 },
      margin: { l: 70, r: 20, t: 30, b: 50 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: c.dim, activecolor: c.ink }, hoverlabel: { bgcolor: c.card, bordercolor: c.line, font: { color: c.ink }, align: "left" },
      legend: { orientation: "h", y: 1, yanchor: "bottom", font: { color: c.dim } }, ...more,
    };
  };
  const axis = (name, log) => {
    const c = colours();
    const kind = isNumber(name) ? { tickformat: "~s", type: log ? "log" : "linear" } : { type: "category" };
    const dense = log && isNumber(name) ? { dtick: span(name) < 1.2 ? "D1" : span(name) < 3 ? "D2" : 1 } : {};
    return { title: { text: title(name), font: { color: c.ink } }, gridcolor: c.grid, linecolor: c.line, zeroline: false, automargin: true, ...kind, ...dense };
  };
  const span = (name) => {
    const all = [...of(data.front, name), ...of(data.cloud, name)].filter((v) => v > 0);
    return all.length ? Math.log10(Math.max(...all) / Math.min(...all)) : 0;
  };
  const wide = (name) => {
    const all = [...of(data.front, name), ...of(data.cloud, name)];
    return isNumber(name) && all.every((v) => v > 0) && span(name) > 1;
  };

  const fill = (id, names, chosen, none) => {
    const box = el(id);
    if (none) box.append(new Option(none, ""));
    for (const name of names) box.append(new Option(info(name).label, name));
    box.value = chosen;
    box.addEventListener("change", () => { if (id !== "pick-colour") el(id.replace("pick", "log")).checked = wide(box.value); drawFront(); });
  };
  const groups = (name) => [...new Set([...of(data.cloud, name), ...of(data.front, name)])].sort((a, b) => (a > b) - (a < b));
  const marker = (points, name, size, opacity) => {
    const c = colours();
    if (!name) return { size, opacity, color: size > 6 ? series[0] : c.dot };
    if (!isNumber(name) || groups(name).length <= 8) {
      const known = groups(name);
      return { size, opacity, color: of(points, name).map((v) => series[known.indexOf(v) % series.length]) };
    }
    const all = [...of(data.cloud, name), ...of(data.front, name)];
    const bar = size > 6 ? { showscale: true, colorbar: { title: { text: title(name), side: "right" }, thickness: 12, tickformat: "~s", outlinewidth: 0 } } : {};
    return { size, opacity, color: of(points, name), colorscale: "Viridis", cmin: Math.min(...all), cmax: Math.max(...all), ...bar };
  };
  const keys = (name) => (!name || (isNumber(name) && groups(name).length > 8)) ? [] : groups(name).slice(0, 12).map((v, i) => ({
    x: [null], y: [null], mode: "markers", name: typeof v === "number" ? v.toLocaleString("en", { maximumSignificantDigits: 4 }) + (info(name).unit ? ` ${info(name).unit}` : "") : String(v),
    marker: { size: 9, color: series[i % series.length] }, showlegend: true, hoverinfo: "skip",
  }));
  function drawFront() {
    const [x, y, colour] = ["pick-x", "pick-y", "pick-colour"].map((id) => el(id).value);
    const dots = (points, name, size, opacity) => ({
      type: "scatter", mode: "markers", name, x: of(points, x), y: of(points, y), text: points.hover, hovertemplate: "%{text}<extra></extra>",
      marker: marker(points, colour, size, opacity), showlegend: !colour,
    });
    const traces = [dots(data.cloud, "points", 5, 0.45)];
    const plain = data.objectives.length === 2 && data.objectives.includes(x) && data.objectives.includes(y) && x !== y;
    if (plain) {
      const order = data.front.metrics[x].map((v, i) => [v, data.front.metrics[y][i]]).sort((a, b) => a[0] - b[0]);
      const shape = data.maximise.includes(x) ? "vh" : "hv";
      traces.push({ type: "scatter", mode: "lines", x: order.map((p) => p[0]), y: order.map((p) => p[1]), line: { color: colours().ink, width: 1, shape }, hoverinfo: "skip", showlegend: false });
    }
    const front = dots(data.front, "Pareto front", 10, 1);
    front.marker.line = { color: colours().card, width: 1 };
    traces.push(front, ...keys(colour));
    Plotly.react("front", traces, base({ xaxis: axis(x, el("log-x").checked), yaxis: axis(y, el("log-y").checked), hovermode: "closest" }), options);
  }

  const number = (v, unit) => {
    const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];
    const [scale, prefix] = v === 0 ? [1, ""] : steps.find(([s]) => Math.abs(v) >= s * 0.9995) || steps.at(-1);
    return `${Number((v / scale).toPrecision(3))}${prefix || unit ? " " : ""}${prefix}${unit}`;
  };
  function drawParallel() {
    const c = colours();
    const both = (name) => [...of(data.cloud, name), ...of(data.front, name)];
    const names = [...Object.keys(data.axes), ...data.objectives.filter((n, i, all) => all.indexOf(n) === i)];
    if (data.y && !names.includes(data.y)) names.push(data.y);
    const dimensions = names.map((name) => {
      const values = both(name);
      if (!isNumber(name)) {
        const known = groups(name);
        return { label: info(name).label, values: values.map((v) => known.indexOf(v)), tickvals: known.map((_, i) => i), ticktext: known.map(String), range: [-0.2, known.length - 0.8] };
      }
      const log = (info(name).log || wide(name)) && values.every((v) => v > 0);
      const shown = log ? values.map(Math.log10) : values;
      const [low, high] = [Math.min(...shown), Math.max(...shown)];
      const few = [...new Set(shown)].sort((a, b) => a - b);
      const ticks = few.length <= 8 ? few : Array.from({ length: 6 }, (_, i) => low + (i * (high - low)) / 5);
      return { label: info(name).label, values: shown, tickvals: ticks, ticktext: ticks.map((t) => number(log ? 10 ** t : t, info(name).unit)), range: low < high ? [low, high] : [low - 1, high + 1] };
    });
    const goal = both(data.objectives[0]);
    const tint = goal.every((v) => v > 0) ? goal.map(Math.log10) : goal;
    const line = { color: tint, colorscale: "Viridis", cmin: Math.min(...tint), cmax: Math.max(...tint), reversescale: !data.maximise.includes(data.objectives[0]) };
    const trace = { type: "parcoords", dimensions, line, labelfont: { color: c.ink, size: 12 }, tickfont: { color: c.ink, size: 11 }, rangefont: { color: "rgba(0,0,0,0)", size: 1 }, unselected: { line: { color: c.grid, opacity: 0.25 } } };
    const left = 40 + 7 * Math.max(4, ...dimensions[0].ticktext.map((t) => t.length));
    Plotly.react("parallel", [trace], base({ margin: { l: left, r: 70, t: 46, b: 20 } }), still);
  }

  function drawSobol() {
    if (!data.sobol.length) return;
    const c = colours();
    const layout = base({ barmode: "overlay", grid: { rows: 1, columns: data.sobol.length, pattern: "independent", xgap: 0.14 }, showlegend: true, annotations: [] });
    const traces = [];
    data.sobol.forEach((s, i) => {
      const tail = i ? i + 1 : "";
      const order = s.total.map((v, k) => [v, k]).sort((a, b) => a[0] - b[0]).map((p) => p[1]);
      const bar = (name, values, opacity, width) => ({
        type: "bar", orientation: "h", name, legendgroup: name, showlegend: i === 0, y: order.map((k) => s.axes[k]), x: order.map((k) => values[k]), xaxis: `x${tail}`, yaxis: `y${tail}`,
        marker: { color: series[0], opacity }, width, hovertemplate: `%{y}: %{x:.1%}<extra>${name}</extra>`,
      });
      traces.push(bar("together with others", s.total, 0.35, 0.7), bar("alone", s.first, 1, 0.4));
      layout[`xaxis${tail}`] = { range: [0, 1.02], tickformat: ".0%", gridcolor: c.grid, title: { text: s.label, font: { color: c.ink } } };
      layout[`yaxis${tail}`] = { automargin: true, tickfont: { color: c.ink } };
    });
    el("sobol").style.height = `${140 + 34 * data.sobol[0].axes.length}px`;
    Plotly.react("sobol", traces, layout, still);
  }

  function drawSwings() {
    const s = data.swings;
    if (!s.rows) return;
    const c = colours();
    const rows = [...s.rows].reverse();
    const trace = {
      type: "bar", orientation: "h", y: rows.map((r) => r.axis), base: rows.map((r) => r.low), x: rows.map((r) => r.high - r.low), marker: { color: series[1], opacity: 0.85 }, width: 0.55,
      customdata: rows.map((r) => [number(r.low, s.unit), r.ends[0], number(r.high, s.unit), r.ends[1]]),
      hovertemplate: "%{y}<br>%{customdata[0]} at %{customdata[1]}<br>%{customdata[2]} at %{customdata[3]}<extra></extra>",
    };
    const notes = rows.flatMap((r) => (r.high > r.low ? [[r.low, "right", r.ends[0]], [r.high, "left", r.ends[1]]] : [[r.high, "left", "no effect"]]).map(([x, anchor, text]) => ({
      x, y: r.axis, text, xanchor: anchor, showarrow: false, xshift: anchor === "left" ? 4 : -4, font: { color: c.dim, size: 11 },
    })));
    const reach = Math.max(...rows.map((r) => r.high)), least = Math.min(...rows.map((r) => r.low)), room = (reach - least || reach) * 0.18;
    const line = { type: "line", x0: s.base, x1: s.base, yref: "paper", y0: 0, y1: 1, line: { color: c.ink, width: 1, dash: "dot" } };
    el("swings").style.height = `${110 + 34 * rows.length}px`;
    Plotly.react("swings", [trace], base({
      xaxis: { title: { text: `${s.label}${s.unit ? ` (${s.unit})` : ""}`, font: { color: c.ink } }, tickformat: "~s", gridcolor: c.grid, zeroline: false, range: [least - room, reach + room] },
      yaxis: { automargin: true, tickfont: { color: c.ink } }, annotations: notes, shapes: [line],
    }), still);
  }

  fill("pick-x", [...Object.keys(data.metrics), ...Object.keys(data.axes)], data.x);
  fill("pick-y", [...Object.keys(data.metrics), ...Object.keys(data.axes)], data.y);
  const third = data.objectives[2] || Object.keys(data.axes).find((n) => groups(n).length > 1 && groups(n).length <= 8) || Object.keys(data.axes)[0] || "";
  fill("pick-colour", [...Object.keys(data.axes), ...Object.keys(data.metrics)], third, "none");
  for (const side of ["x", "y"]) {
    el(`log-${side}`).checked = wide(data[side]);
    el(`log-${side}`).addEventListener("change", drawFront);
  }
  const draw = () => { drawFront(); drawParallel(); drawSobol(); drawSwings(); };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
