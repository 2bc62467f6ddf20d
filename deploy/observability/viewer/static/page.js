// Draws the graphs and refreshes the part of the page that is live.
'use strict';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name);
const clock = (seconds, parts) =>
  new Date(1000 * seconds).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', ...parts });

// wholes are the steps of an axis that counts things.
const wholes = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((e) => [1, 2, 5].map((n) => n * 10 ** e));

// text formats a value as unit.go does.
function text(value, unit, decimals = unit.decimals) {
  if (value == null) return '–';
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return unit.prefix + value.toLocaleString('en-US', digits) + unit.suffix;
}

// stack adds each series to those below it. A gap of all series stays a gap.
function stack(values) {
  const sums = [];
  for (const line of values) {
    const below = sums.at(-1) ?? [];
    sums.push(line.map((value, at) => (value == null ? below[at] ?? null : value + (below[at] ?? 0))));
  }
  return sums;
}

function draw(plot) {
  const graph = JSON.parse(plot.dataset.graph);
  const { unit, times, values } = graph;
  const rows = [...plot.nextElementSibling.tBodies[0].rows];
  const time = plot.nextElementSibling.querySelector('.time');
  const stroke = color('faint'), line = { stroke: color('line'), width: 1 };

  // The table has the values below the pointer, or else the latest.
  const hover = (u) => {
    const at = u.cursor.idx;
    time.textContent = at == null ? 'series' : clock(times[at], { second: '2-digit' });
    rows.forEach((row, i) => {
      row.dataset.last ??= row.cells[1].textContent;
      row.cells[1].textContent = at == null ? row.dataset.last : text(values[i][at], unit);
    });
  };
  const dots = (u) => {
    for (const dot of graph.traces ?? []) {
      const a = document.createElement('a');
      a.href = '/traces/' + dot.trace;
      a.title = `${dot.text} at ${clock(dot.at, { second: '2-digit' })}: trace ${dot.trace}`;
      a.tabIndex = -1; // the list of traces has them for the keyboard
      a.style.left = u.valToPos(dot.at, 'x') + 'px';
      a.style.top = u.valToPos(dot.value, 'y') + 'px';
      u.over.append(a);
    }
  };
  const highest = Math.max(0, ...(graph.traces ?? []).map((dot) => dot.value));

  plot.replaceChildren();
  new uPlot({
    width: plot.clientWidth,
    height: plot.clientHeight,
    legend: { show: false },
    cursor: { sync: { key: 'page' }, drag: { x: false, y: false } },
    scales: {
      x: { range: [times[0], times.at(-1)] },
      y: { range: (u, min, max) => [Math.min(0, min), Math.max(max, highest) * 1.05 || 1] },
    },
    axes: [
      { stroke, grid: line, ticks: line, space: 45, size: 28, values: (u, ticks) => ticks.map((t) => clock(t)) },
      {
        stroke, grid: line, ticks: line, space: 25,
        incrs: graph.whole ? wholes : undefined,
        values: (u, ticks, axis, space, step) => ticks.map((t) => text(t, unit, `${step}`.split('.')[1]?.length ?? 0)),
        size: (u, labels) => 16 + 7 * Math.max(3, ...(labels ?? []).map((label) => label.length)),
      },
    ],
    series: [{}, ...values.map((_, i) => ({
      stroke: color('c' + i % 8), fill: graph.stacked ? color('c' + i % 8) + '66' : undefined,
      width: 1.5, points: { show: false },
    }))],
    bands: graph.stacked ? values.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
    hooks: { setCursor: [hover], ready: [dots] },
  }, [times, ...(graph.stacked ? stack(values) : values)], plot);
  plot.querySelector('canvas').setAttribute('role', 'img');
  plot.querySelector('canvas').setAttribute('aria-label', plot.dataset.title);
}

const drawAll = () => document.querySelectorAll('.plot').forEach(draw);

// refresh replaces the live part, unless it is the same or somebody reads a value.
async function refresh() {
  const live = document.getElementById('live'), state = document.getElementById('state');
  if (!live || document.hidden || !document.getElementById('refresh').checked) return;
  if (live.querySelector('.plot:hover, :focus-visible')) return;
  try {
    const response = await fetch(location.href);
    if (!response.ok) throw new Error(response.status);
    const next = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('live');
    state.textContent = '';
    if (next.outerHTML === shown) return;
    shown = next.outerHTML;
    for (const open of live.querySelectorAll('details[open]')) {
      next.querySelector('#' + open.id)?.setAttribute('open', '');
    }
    live.replaceWith(next);
    drawAll();
  } catch (reason) {
    state.textContent = `not refreshed since ${clock(Date.now() / 1000, { second: '2-digit' })}: ${reason.message}`;
  }
}

let shown = document.getElementById('live')?.outerHTML;
drawAll();
let width = innerWidth;
addEventListener('resize', () => {
  if (width !== innerWidth) drawAll(); // not for a phone's address bar
  width = innerWidth;
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
setInterval(refresh, 10000);
