/* The pictures of the page "Moving pictures". Each is an element with its data as JSON, which the
   notebook has computed (arnn.moving.MovingPicture); here they are only drawn. Nothing is loaded
   and nothing moves by itself: a drawing changes when the reader moves one of its controls, which
   are the browser's own and so work from the keyboard. Without this script the page shows the
   standing figures alone. */

(() => {
  "use strict";

  // ---- Elements, numbers and names --------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  const html = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  const minus = text => text.replace("-", "−");
  const fixed = (value, digits = 2) => minus(value.toFixed(digits));
  const signed = (value, digits = 2) => (value < 0 ? "" : "+") + fixed(value, digits);
  const spin = value => (value > 0 ? "+1" : "−1");

  /* "SK_RS" is written with RS as an index, in a sentence and in a drawing. */
  const parts = name => name.replace("inf", "∞").split("_");
  function inWords(name) {
    const [base, index] = parts(name);
    return html("span", {}, base, ...(index ? [html("sub", {}, index)] : []));
  }
  function inDrawing(name) {
    const [base, index] = parts(name);
    return [base, ...(index ? [svg("tspan", {class: "index", dy: 4}, index)] : [])];
  }

  // ---- Controls: each has a name, an element and a value() --------------------------------------

  let controlsMade = 0;

  function labelled(name, text, control, ...more) {
    const id = `moving-control-${(controlsMade += 1)}`;
    control.id = id;
    control.dataset.control = name;
    return {name, control, element: html("div", {class: "moving-control"},
      html("label", {for: id}, text), control, ...more)};
  }

  /* A slider over a list; its value is the place in the list. */
  function slider(name, text, list, start, format) {
    const input = html("input",
      {type: "range", min: 0, max: list.length - 1, step: 1, value: start});
    const shown = html("span", {class: "moving-value", "aria-hidden": "true"});
    const made = labelled(name, text, input, shown);
    const value = () => Number(input.value);
    const show = () => {
      shown.textContent = format(list[value()]);
      input.setAttribute("aria-valuetext", format(list[value()]));
    };
    input.addEventListener("input", show);
    show();
    return {...made, value, set(place) {
      input.value = place;
      show();
    }};
  }

  /* A list to choose from: [value, text] pairs. */
  function choice(name, text, options) {
    const select = html("select", {},
      ...options.map(([value, shown]) => html("option", {value}, shown)));
    return {...labelled(name, text, select), value: () => select.value};
  }

  // ---- The frame of a picture -------------------------------------------------------------------

  /* draw(width, state) returns the drawing and the words that say what it shows. */
  function frame(root, controls, draw, extra = () => []) {
    const stage = html("div", {class: "moving-stage"});
    const says = html("output", {"aria-live": "polite",
      for: controls.map(item => item.control.id).join(" ")});
    let width = 0;
    const update = () => {
      const state = Object.fromEntries(controls.map(item => [item.name, item.value()]));
      const [drawing, words] = draw(width, state);
      stage.replaceChildren(drawing);
      says.replaceChildren(...words);
    };
    const bar = html("div", {class: "moving-controls"},
      ...controls.map(item => item.element), ...extra(update));
    for (const item of controls) item.control.addEventListener("input", update);
    root.querySelector("p").remove();
    root.prepend(bar, stage, says);
    root.classList.add("moving-on");
    new ResizeObserver(() => {
      if (stage.clientWidth === width) return;
      width = stage.clientWidth;
      update();
    }).observe(stage);
  }

  // ---- Charts -----------------------------------------------------------------------------------

  const look = (looks, name) => ({class: "look", style: `--look: ${looks[name]}`});

  /* A drawing of a given size in pixels, so that its letters are as large as those of the page. */
  function canvas(width, height, description) {
    return svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": description});
  }

  /* Axes in a box [left, top, right, bottom] of a drawing; returns the two scales. */
  function axes(drawing, [left, top, right, bottom], {x, y}) {
    const scale = ({from, to}, a, b) => value => a + (value - from) / (to - from) * (b - a);
    const across = scale(x, left, right), up = scale(y, bottom, top);
    for (const [value, text = minus(String(value))] of x.ticks || []) {
      const at = across(value);
      drawing.append(svg("line", {class: "grid", x1: at, x2: at, y1: top, y2: bottom}),
        svg("text", {x: at, y: bottom + 17, "text-anchor": "middle"}, text));
    }
    for (const [value, text = minus(String(value))] of y.ticks || []) {
      const at = up(value);
      drawing.append(svg("line", {class: "grid", x1: left, x2: right, y1: at, y2: at}),
        svg("text", {x: left - 6, y: at + 4, "text-anchor": "end"}, text));
    }
    drawing.append(svg("path", {class: "axis", d: `M${left},${top}V${bottom}H${right}`}),
      svg("text", {x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle"}, x.label || ""),
      svg("text", {x: left - 34, y: top - 10}, y.label || ""));
    return [across, up];
  }

  const ticks = (...values) => values.map(value => [value]);
  const polyline = (points, attributes) =>
    svg("polyline", {...attributes, points: points.map(point => point.join()).join(" ")});

  /* Names with a short line of their colour, from left to right, in as many rows as they need. */
  function legend(drawing, entries, left, top, right) {
    let x = left, y = top;
    for (const [attributes, label, length] of entries) {
      const room = 30 + 8 * length;
      if (x > left && x + room > right) [x, y] = [left, y + 20];
      drawing.append(
        svg("line", {...attributes, x1: x, x2: x + 20, y1: y - 4, y2: y - 4, "stroke-width": 3}),
        svg("text", {x: x + 26, y}, ...label));
      x += room;
    }
  }

  // ---- The Curie-Weiss conditional --------------------------------------------------------------

  function curieWeiss(root, data) {
    const controls = [
      slider("beta", "β", data.betas, data.start.beta, value => value.toFixed(2)),
      slider("spin", "spin i", data.spins, data.start.spin, String),
    ];
    /* The data hold the sums S >= 0; flipping all spins gives the others. */
    function both(half, i, mirrored) {
      const odd = (i - 1) % 2;
      const points = half.map((value, a) => [2 * a + odd, value]);
      const others = points.filter(([sum]) => sum > 0).map(([sum, p]) => [-sum, mirrored(p)]);
      return [...others.reverse(), ...points];
    }
    frame(root, controls, (width, state) => {
      const i = data.spins[state.spin], beta = data.betas[state.beta], m = data.m[state.beta];
      const of = (name, mirrored = p => 1 - p) =>
        both(data[name][state.beta][state.spin], i, mirrored);
      const exact = of("exact"), limit = of("limit"), law = of("law", p => p);
      const place = law.reduce((best, [, p], k) => (p > law[best][1] + 1e-9 ? k : best), 0);
      const typical = Math.abs(law[place][0]);
      const at = points => points.find(([sum]) => sum === typical)[1];
      const drawing = canvas(width, 330,
        `Probability that spin ${i} is up over the mean of the earlier spins, at beta ${beta}`);
      const [across, up] = axes(drawing, [42, 50, width - 14, 280], {
        x: {from: -1.06, to: 1.06, ticks: ticks(-1, -0.5, 0, 0.5, 1),
          label: "mean of the earlier spins, S / (i − 1)"},
        y: {from: 0, to: 1, ticks: ticks(0, 0.25, 0.5, 0.75, 1), label: "P(xᵢ = +1 | S)"},
      });
      const highest = Math.max(...law.map(([, p]) => p));
      const bar = Math.max(2, 0.7 * (across(2 / (i - 1)) - across(0)));
      for (const [sum, p] of law) {
        const height = 0.35 * p / highest * (up(0) - up(1));
        drawing.append(svg("rect", {class: "law", x: across(sum / (i - 1)) - bar / 2,
          y: up(0) - height, width: bar, height}));
      }
      for (const side of m > 0 ? [-m, m] : [])
        drawing.append(svg("line", {class: "hint", x1: across(side), x2: across(side),
          y1: up(0), y2: up(1)}));
      const series = [["CW_inf", limit, "circle"], ["CW_N", exact, "rect"]];
      for (const [name, points, mark] of series) {
        const group = svg("g", {...look(data.looks, name), "data-series": name});
        const seen = points.map(([sum, p]) => [across(sum / (i - 1)), up(p)]);
        group.append(polyline(seen, {class: "curve"}));
        for (const [x, y] of seen.length > 41 ? [] : seen)
          group.append(mark === "rect" ? svg("rect", {x: x - 3, y: y - 3, width: 6, height: 6})
            : svg("circle", {cx: x, cy: y, r: 4}));
        drawing.append(group);
      }
      legend(drawing, [
        [look(data.looks, "CW_N"), inDrawing("CW_N"), 6],
        [look(data.looks, "CW_inf"), inDrawing("CW_inf"), 6],
        [{class: "law-line"}, ["law of S"], 9],
      ], Math.min(170, width - 260), 18, width);
      return [drawing, [
        `β = ${beta.toFixed(2)}, spin ${i} of ${data.n}. The most probable sum is `,
        `${typical ? "±" : ""}${typical}. At S = ${typical ? "+" : ""}${typical} the exact P(`,
        html("i", {}, "x"), html("sub", {}, html("i", {}, "i")),
        ` = +1) is ${at(exact).toFixed(3)}, and `, inWords("CW_inf"),
        ` gives ${at(limit).toFixed(3)}; this conditional of `, inWords("CW_inf"),
        ` costs ${(1e3 * data.cost[state.beta][state.spin]).toFixed(2)} · 10`,
        html("sup", {}, "−3"), " nats.",
      ]];
    });
  }

  // ---- Ancestral sampling -----------------------------------------------------------------------

  function sampling(root, data) {
    const n = data.n, every = [...Array(n + 1).keys()];
    const step = slider("known", "spins known", every, data.start, String);
    const draw = choice("draw", "draw", data.draws.map((item, k) => [k, item.name]));
    const controls = [draw, step];
    const buttons = update => {
      const move = by => () => {
        step.set(Math.min(n, Math.max(0, step.value() + by)));
        update();
      };
      const [back, on] = [["undo a spin", -1], ["draw the next spin", 1]].map(([text, by]) => {
        const button = html("button", {type: "button"}, text);
        button.addEventListener("click", move(by));
        return button;
      });
      return [html("div", {class: "moving-control"}, back, on)];
    };
    frame(root, controls, (width, state) => {
      const item = data.draws[state.draw], known = state.known;
      const spins = known < n ? `${known} of ${n} spins are known` : `all ${n} spins are known`;
      const drawing = canvas(width, 330,
        `A row of ${n} spins and the fields on the later ones; ${spins}`);
      const left = 42, right = width - 14, column = (right - left) / n;
      const centre = l => left + (l + 0.5) * column;
      const largest = Math.max(...item.fields.flatMap((row, k) => row.slice(k).map(Math.abs)));
      const unit = largest > 1 ? 1 : 0.5;
      const [, up] = axes(drawing, [left, 84, right, 236], {
        x: {from: 0, to: 1}, y: {from: -largest, to: largest, ticks: ticks(-unit, 0, unit)},
      });
      const radius = Math.min(12, 0.42 * column);
      for (let l = 0; l < n; l += 1) {
        const value = item.spins[l] > 0 ? "up" : "down";
        const kind = l < known ? value : (l === known ? "next" : "unknown");
        const mark = l < known ? {up: "↑", down: "↓"}[value] : "?";
        drawing.append(
          svg("circle", {class: `spin ${kind}`, cx: centre(l), cy: 42, r: radius}),
          svg("text", {class: `arrow ${kind}`, x: centre(l), y: 46.5, "text-anchor": "middle"},
            mark));
        if (l % (column < 26 ? 3 : 1) === 0)
          drawing.append(svg("text", {x: centre(l), y: 20, "text-anchor": "middle"}, l + 1));
        if (l < known) continue;
        const tip = up(item.fields[known][l]);
        drawing.append(svg("rect", {class: `field ${kind}`, "data-field": l + 1,
          x: centre(l) - 0.32 * column, y: Math.min(up(0), tip),
          width: 0.64 * column, height: Math.abs(tip - up(0))}));
      }
      drawing.append(svg("line", {class: "zero", x1: left, x2: right, y1: up(0), y2: up(0)}),
        svg("text", {x: left + 4, y: 76}, "fields ξ on the spins that are not known"));
      const [along] = axes(drawing, [left, 262, right, 292], {
        x: {from: 0, to: 1, ticks: ticks(0, 0.25, 0.5, 0.75, 1)}, y: {from: 0, to: 1}});
      if (known < n) {
        const exact = along(item.chance[known]), alone = along(item.alone[known]);
        drawing.append(
          svg("rect", {class: "chance", x: left, y: 268, width: exact - left, height: 18}),
          svg("line", {class: "alone", x1: alone, x2: alone, y1: 262, y2: 292}));
      }
      drawing.append(svg("text", {x: left + 4, y: 256},
        known < n ? `P(x = +1) of spin ${known + 1}` : "nothing is left to draw"));
      drawing.append(svg("text", {x: (left + right) / 2, y: 326, "text-anchor": "middle"},
        "bar: exact; line: from the field on it alone"));
      const past = known ? [`Spin ${known} was drawn ${spin(item.spins[known - 1])}. `] : [];
      const now = `${spins[0].toUpperCase()}${spins.slice(1)}. `;
      if (known === n)
        return [drawing, [now, ...past, `The logarithms of the ${n} probabilities add up `,
          `to ln P = ${fixed(item.log_prob[n - 1], 3)}, which is −βH − ln Z `,
          `with H = ${fixed(item.energy, 3)} and ln Z = ${fixed(item.log_partition, 3)}.`]];
      return [drawing, [now, ...past, `Spin ${known + 1} feels the field ξ = `,
        `${signed(item.fields[known][known], 3)}; it is +1 with probability `,
        `${item.chance[known].toFixed(3)}. Without the spins after it, this would be `,
        `${item.alone[known].toFixed(3)}.`]];
    }, buttons);
  }

  // ---- Overlaps ---------------------------------------------------------------------------------

  function overlaps(root, data) {
    const sizes = Object.keys(data.sizes), all = "all";
    const controls = [
      choice("n", "N", sizes.map(n => [n, n])),
      choice("net", "network", [...data.nets.map(name => [name, parts(name).join(" ")]),
        [all, "all networks"]]),
      slider("beta", "β", data.betas, 1, value => value.toFixed(1)),
    ];
    controls[1].control.value = data.start;
    frame(root, controls, (width, state) => {
      const {truth, nets, instances} = data.sizes[state.n], beta = state.beta;
      const there = Object.keys(nets).filter(name => nets[name][beta]);
      const shown = state.net === all ? there : there.filter(name => name === state.net);
      const drawing = canvas(width, 350,
        `Distribution of the absolute overlap at beta ${data.betas[beta]}, N = ${state.n}`);
      const highest = Math.max(...[truth, ...Object.values(nets)].flat()
        .flatMap(law => (law ? law.density : [])));
      const top = Math.ceil(highest);
      const [across, up] = axes(drawing, [42, 90, width - 14, 305], {
        x: {from: 0, to: 1, ticks: ticks(0, 0.2, 0.4, 0.6, 0.8, 1), label: "|q|"},
        y: {from: 0, to: top, ticks: ticks(...[...Array(top + 1).keys()]), label: "P(|q|)"},
      });
      const stairs = density => density.flatMap((p, k) =>
        [[across(k / density.length), up(p)], [across((k + 1) / density.length), up(p)]]);
      const edge = stairs(truth[beta].density);
      drawing.append(
        polyline([[across(0), up(0)], ...edge, [across(1), up(0)]], {class: "truth-area"}),
        polyline(edge, {class: "truth curve"}));
      for (const name of shown)
        drawing.append(svg("g", {...look(data.looks, name), "data-series": name},
          polyline(stairs(nets[name][beta].density), {class: "curve"})));
      legend(drawing, [[{class: "truth"}, ["parallel tempering"], 17],
        ...shown.map(name => [look(data.looks, name), inDrawing(name), name.length])],
      110, 18, width);
      const says = law => `${law.low.toFixed(3)} (mean q² ${law.square.toFixed(3)})`;
      const words = [`N = ${state.n}, β = ${data.betas[beta].toFixed(1)}, ${instances}. `,
        `Probability of |q| < 0.3: parallel tempering ${says(truth[beta])}`];
      for (const name of shown) words.push("; ", inWords(name), ` ${says(nets[name][beta])}`);
      if (!shown.length)
        words.push("; ", inWords(state.net), " has no stored samples at this size and temperature");
      return [drawing, [...words, "."]];
    });
  }

  // ---- The overlap matrix -----------------------------------------------------------------------

  function matrix(root, data) {
    const controls = [
      choice("steps", "steps of breaking", data.ansatz.map((item, k) => [k, item.name])),
      slider("beta", "β", data.betas, data.start.beta, value => value.toFixed(2)),
    ];
    controls[0].control.value = data.start.steps;
    frame(root, controls, (width, state) => {
      const item = data.ansatz[state.steps], beta = data.betas[state.beta];
      const q = item.q[state.beta], p = item.p[state.beta], n = data.replicas;
      const narrow = width < 560;
      const side = narrow ? Math.min(width - 60, 300) : Math.min(width / 2 - 60, 300);
      const height = narrow ? side + 330 : side + 80;
      const drawing = canvas(width, height,
        `Overlap matrix of ${n} replicas, ${item.name}, and their law, at beta ${beta}`);
      const cell = side / n, left = 42, top = 40;
      const share = (a, b) => size => Math.floor(a / size) === Math.floor(b / size);
      const level = (a, b) => item.sizes.filter(share(a, b)).length;
      for (let a = 0; a < n; a += 1)
        for (let b = 0; b < n; b += 1)
          drawing.append(svg("rect", {class: a === b ? "cell diagonal" : "cell", x: left + b * cell,
            y: top + a * cell, width: cell, height: cell,
            ...(a === b ? {} : {"fill-opacity": q[level(a, b)].toFixed(3)})}));
      drawing.append(
        svg("rect", {class: "box", x: left, y: top, width: side, height: side}),
        svg("text", {x: left + side / 2, y: top + side + 20, "text-anchor": "middle"}, "replica b"),
        svg("text", {x: left, y: top - 12}, `Q, replicas a from 1 (above) to ${n}`));
      const box = narrow ? [left, top + side + 70, width - 14, height - 44]
        : [left + side + 66, top, width - 14, top + side];
      const [across, up] = axes(drawing, box, {
        x: {from: 0, to: 1, ticks: ticks(0, 0.2, 0.4, 0.6, 0.8, 1), label: "overlap q"},
        y: {from: 0, to: 1, ticks: ticks(0, 0.5, 1), label: "probability"},
      });
      const joined = []; // levels whose overlaps coincide are one peak
      q.forEach((value, j) => {
        const last = joined.at(-1);
        if (last && value - last[0] < 5e-4) last[1] += p[j];
        else joined.push([value, p[j]]);
      });
      for (const [value, weight] of joined)
        drawing.append(svg("rect", {class: "peak", x: across(value) - 4, y: up(weight), width: 8,
          height: up(0) - up(weight)}));
      const peaks = joined.map(([value, weight]) => `${value.toFixed(3)} (${weight.toFixed(3)})`);
      return [drawing, [`β = ${beta.toFixed(2)}, ${item.name}: `,
        joined.length > 1 ? "overlaps and their probabilities "
          : "one overlap, with its probability, ",
        peaks.join(", "), `; free energy per spin f = ${fixed(item.f[state.beta], 5)}`,
        `, entropy ${fixed(item.entropy[state.beta], 4)}.`]];
    });
  }

  // ---- Free energies ----------------------------------------------------------------------------

  function freeEnergies(root, data) {
    const sizes = Object.keys(data.sizes);
    const controls = [
      choice("n", "N", sizes.map(n => [n, n])),
      choice("instances", "instances", [["shared", "those that all networks share"],
        ["stored", "all that are stored of each"]]),
      slider("beta", "β", data.betas, data.start, value => value.toFixed(1)),
    ];
    const [lowest, highest] = [-2, 2]; // powers of ten, in units of 1e-4
    frame(root, controls, (width, state) => {
      const rows = Object.entries(data.sizes[state.n]);
      const row = 34, top = 34, bottom = top + row * rows.length;
      const drawing = canvas(width, bottom + 48,
        `Relative errors of ${rows.length} networks, N = ${state.n}`);
      const [across] = axes(drawing, [86, top, width - 20, bottom], {
        x: {from: lowest, to: highest, label: "relative error of f",
          ticks: [[-2, "10⁻⁶"], [-1, "10⁻⁵"], [0, "10⁻⁴"], [1, "10⁻³"], [2, "10⁻²"]]},
        y: {from: 0, to: 1},
      });
      const place = value =>
        across(Math.min(highest, Math.log10(Math.max(value, 10 ** lowest))));
      drawing.append(svg("text", {x: 4, y: 18}, "network"));
      const of = rows.map(([, found]) => found[state.instances].instances);
      const same = of.every(instances => instances === of[0]);
      const words = [`N = ${state.n}, β = ${data.betas[state.beta].toFixed(1)}. `,
        "Relative error in units of 10", html("sup", {}, "−4"), same ? `, ${of[0]}: ` : ": "];
      rows.forEach(([name, found], k) => {
        const {mean, error} = found[state.instances], y = top + (k + 0.5) * row;
        const value = mean[state.beta], bar = error[state.beta], clear = value > 2 * bar;
        const group = svg("g", {...look(data.looks, name), "data-series": name});
        group.append(svg("text", {x: 4, y: y + 4, class: "name"}, ...inDrawing(name)));
        drawing.append(group);
        const end = k + 1 < rows.length ? "; " : ".";
        if (value === null) {
          words.push(inWords(name), " was not trained at this temperature", end);
          return;
        }
        group.append(
          svg("line", {class: "curve",
            x1: place(value - bar), x2: place(value + bar), y1: y, y2: y}),
          ...[-1, 1].map(side => svg("line", {class: "curve", x1: place(value + side * bar),
            x2: place(value + side * bar), y1: y - 8, y2: y + 8})),
          svg("circle", {class: clear ? "clear" : "unclear", cx: place(value), cy: y, r: 5}));
        words.push(inWords(name), ` ${fixed(value)} ± ${fixed(bar)}`, same ? "" : ` (${of[k]})`,
          end);
      });
      return [drawing, words];
    });
  }

  // ---- Start ------------------------------------------------------------------------------------

  const PICTURES = {
    "curie-weiss": curieWeiss, sampling, overlaps, matrix, "free-energies": freeEnergies,
  };

  function start() {
    for (const root of document.querySelectorAll("div.moving")) {
      const data = JSON.parse(root.querySelector("script").textContent);
      PICTURES[root.dataset.picture](root, data);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
