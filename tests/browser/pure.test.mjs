// What the client decides about calls, on plain data.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { grid } from '../../src/http/web/js/calls/grid.js';
import { UpLine } from '../../src/http/web/js/calls/line.js';
import { level, smooth } from '../../src/http/web/js/calls/quality.js';

const ASSUMED = 4_000_000;

/** Gives a line the same readings twice a second; what it said, as [at, bps]. */
function run(line, readings, from, until) {
  const said = [];
  for (let now = from; now <= until; now += 500) if (line.handle(readings, now)) said.push([now, line.bps]);
  return said;
}

describe('the line up', () => {
  test('is what all connections have together, once they have been held back for a while', () => {
    const line = new UpLine(ASSUMED);
    const readings = [{ id: 1, available: 300_000, limited: true }, { id: 2, available: 250_000, limited: true }];
    const said = run(line, readings, 0, 10_000);
    assert.deepEqual(said, [[4000, 550_000]], 'once, and not at once');
  });

  test('is found although an encoder that sends less is content for a moment', () => {
    const line = new UpLine(ASSUMED);
    const said = [];
    for (let now = 0; now <= 8000; now += 500) {
      const isOdd = (now / 500) % 2 === 1;
      const readings = [{ id: 1, available: 300_000, limited: isOdd }, { id: 2, available: 300_000, limited: !isOdd }];
      if (line.handle(readings, now)) said.push(line.bps);
    }
    assert.deepEqual(said, [600_000]);
  });

  test('isn’t narrow because one other’s is, or as long as more is found', () => {
    const one = new UpLine(ASSUMED);
    assert.deepEqual(run(one, [{ id: 1, available: 300_000, limited: true }, { id: 2, available: 900_000, limited: false }], 0, 10_000), []);
    const growing = new UpLine(ASSUMED);
    for (let now = 0; now < 8000; now += 500) {
      assert.ok(!growing.handle([{ id: 1, available: 300_000 * 1.1 ** (now / 500), limited: true }], now), `at ${now}`);
    }
    assert.deepEqual(run(new UpLine(ASSUMED), [], 0, 10_000), [], 'nothing is sent');
  });

  test('is tried to be wider while nothing holds it back, up to what was assumed', () => {
    const line = new UpLine(ASSUMED, 600_000);
    const said = run(line, [{ id: 1, available: 700_000, limited: false }], 0, 60_000);
    assert.deepEqual(said.slice(0, 2), [[5000, 780_000], [10_000, 1_014_000]]);
    assert.equal(said.at(-1)[1], ASSUMED);
    assert.deepEqual(run(line, [{ id: 1, available: 700_000, limited: false }], 60_500, 90_000), []);
  });
});

test('tiles are as large as they can be', () => {
  const cases = [
    [1, 1280, 640, 1, 1],
    [2, 1280, 400, 2, 1],
    [3, 864, 590, 2, 2],
    [9, 1232, 640, 3, 3],
    [16, 1232, 640, 4, 4],
    [25, 1232, 640, 5, 5],
    [2, 390, 500, 1, 2],
    [9, 390, 500, 2, 5],
  ];
  for (const [count, width, height, columns, rows] of cases) {
    assert.deepEqual(grid(count, width, height), { columns, rows }, `${count} in ${width} by ${height}`);
  }
});

test('a way is as good as its worst figure', () => {
  assert.equal(level({ arrives: false, loss: 0, roundTripMs: 1 }), 0);
  assert.equal(level({ arrives: true, loss: null, roundTripMs: null }), 4);
  assert.equal(level({ arrives: true, loss: 0.02, roundTripMs: 20 }), 3);
  assert.equal(level({ arrives: true, loss: 0, roundTripMs: 350 }), 2);
  assert.equal(level({ arrives: true, loss: 0.2, roundTripMs: 20 }), 1);
  assert.equal(smooth(null, 0.5), 0.5);
  assert.equal(smooth(1, null), 1);
  assert.equal(smooth(1, 0), 0.8);
});
