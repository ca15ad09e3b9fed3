/** Lines over time, and the same as a table for who does not see them. */

import uPlot from 'uplot';
import { timeOfDay } from '../format.js';
import { html, useEffect, useRef } from '../html.js';
import { language, t } from '../texts.js';
import { watchTheme } from '../theme.js';

const HEIGHT = 220;
/** So many rows the table has: the newest. */
const ROWS = 12;
/** Between two times of the axis, in seconds. */
const MINUTES = [60, 120, 300, 600, 900, 1800, 3600];
/** Between two lines, so that each is a round number of its binary unit. */
const ROUND_BYTES = Array.from({ length: 50 }, (_, power) => 2 ** power);

/**
 * @param {{ columns: Record<string, (number | null)[]>, from: number, series: { name: string, label: string, tone: string }[],
 *   show: (value: number) => string, label: string }} props
 */
export function Chart({ columns: named, from, series, show, label }) {
  const box = useRef(null);
  const plot = useRef(null);
  const times = named.time ?? [];
  const columns = [times, ...series.map(({ name }) => named[name] ?? times.map(() => null))].map((column) => column.slice(from));
  const latest = useRef(columns);
  latest.current = columns;

  useEffect(() => {
    const space = box.current;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(space, series, show), latest.current, space);
    };
    make();
    const size = new ResizeObserver(() => plot.current.setSize({ width: space.clientWidth, height: HEIGHT }));
    size.observe(space);
    const end = watchTheme(make);
    return () => {
      end();
      size.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columns), [named, from]);

  return html`<figure class="chart">
    <ul class="chart-legend">${series.map(({ name, label: of, tone }) => html`<li key=${name}><span class=${`chart-key chart-${tone}`} aria-hidden="true"></span>${of}
      <strong>${show(lastOf(named[name] ?? []))}</strong></li>`)}</ul>
    <div class="chart-space" ref=${box} aria-hidden="true"></div>
    <details class="chart-table"><summary>${t('chart.table')}</summary>
      <div class="table-scroll" tabindex="0" role="region" aria-label=${label}><table>
        <thead><tr><th scope="col">${t('chart.time')}</th>${series.map(({ name, label: of }) => html`<th key=${name} scope="col" class="number">${of}</th>`)}</tr></thead>
        <tbody>${rowsOf(columns).map((row) => html`<tr key=${row[0]}><th scope="row">${timeOfDay(row[0] * 1000)}</th>
          ${row.slice(1).map((value, at) => html`<td key=${at} class="number">${show(value)}</td>`)}</tr>`)}</tbody>
      </table></div>
    </details>
  </figure>`;
}

const lastOf = (column) => column.findLast((value) => value != null) ?? null;

function rowsOf(columns) {
  const length = columns[0].length;
  const from = Math.max(0, length - ROWS);
  return Array.from({ length: length - from }, (_, at) => columns.map((column) => column[from + at])).reverse();
}

function optionsOf(box, series, show) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => resolved(style.getPropertyValue(name).trim(), box);
  const grid = { stroke: colour('--line'), width: 1 };
  const unit = parseFloat(style.fontSize) / 16; // larger on very large screens
  const axis = { stroke: colour('--text-soft'), font: `${12 * unit}px system-ui, sans-serif`, grid, ticks: { show: false } };
  const time = new Intl.DateTimeFormat(language.get(), { hour: '2-digit', minute: '2-digit' });
  return {
    width: box.clientWidth, height: HEIGHT, padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, __, most) => [0, Math.max(most ?? 0, 1024) * 1.1] } },
    axes: [
      { ...axis, size: 28 * unit, space: 84 * unit, incrs: MINUTES, grid: { show: false }, values: (_, at) => at.map((seconds) => time.format(seconds * 1000)) },
      { ...axis, size: 84 * unit, incrs: ROUND_BYTES, values: (_, at) => at.map(show) },
    ],
    series: [{}, ...series.map(({ tone }) => ({
      stroke: colour(`--chart-${tone}`), width: 2, points: { show: false }, spanGaps: false,
      fill: colour(`--chart-${tone}-soft`),
    }))],
  };
}

/** A canvas knows no `light-dark()`: an element says what comes of it. */
function resolved(value, near) {
  const probe = document.createElement('span');
  probe.style.color = value;
  near.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
