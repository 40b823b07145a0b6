/**
 * Where each count has its segment of the bar, in percent, as in the server's page: `tests/cases/bars.json`.
 * @param {number[]} counts
 */
export function segments(counts) {
  const listed = counts.reduce((sum, count) => sum + count, 0);
  let end = 0;
  return counts.map((count) => {
    const width = listed > 0 ? (100 * count) / listed : 0;
    const start = end;
    end += width;
    return { start, width };
  });
}
