// How tiles of 16 to 9 are laid out so that they are as large as can be. Pure.

const SHAPE = 16 / 9;

/** {columns, rows} for `count` tiles in `width` times at most `height` pixels. */
export function grid(count, width, height) {
  let best = { columns: 1, rows: Math.max(1, count), size: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const size = Math.min(width / columns, (height / rows) * SHAPE);
    if (size > best.size) best = { columns, rows, size };
  }
  return { columns: best.columns, rows: best.rows };
}
