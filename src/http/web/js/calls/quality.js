// How good a way is, as people take it. Pure.

/** From 0 to 4. */
export const WORDS = ['Nothing arrives', 'Bad', 'Weak', 'Good', 'Very good'];

/** Least loss (a ratio) and round trip (ms) at which a way is no better than the place in the list. */
const BOUNDS = [
  { level: 1, loss: 0.1, roundTripMs: 600 },
  { level: 2, loss: 0.03, roundTripMs: 300 },
  { level: 3, loss: 0.01, roundTripMs: 150 },
];
/** How much of a new reading goes into what is shown: twice a second, some seconds count. */
const NEW = 0.2;

/** What isn't known counts as good. */
export function level({ arrives, loss, roundTripMs }) {
  if (!arrives) return 0;
  const found = BOUNDS.find((bound) => (loss ?? 0) >= bound.loss || (roundTripMs ?? 0) >= bound.roundTripMs);
  return found?.level ?? 4;
}

/** A mean in which old readings count less and less. A reading of null changes nothing. */
export function smooth(before, reading) {
  if (reading === null || reading === undefined) return before;
  return before === null ? reading : before * (1 - NEW) + reading * NEW;
}
