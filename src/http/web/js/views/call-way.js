// The ways that media takes between this device and another, in words. Pure.

/** The ways of each direction: {in, out}, each `direct`, `relay` or `server`; null while nothing comes. */
export function waysOf(party) {
  if (!party?.connected) return null;
  const path = party.peer?.figures?.path;
  const isRelayed = path && (path.kind === 'relay' || path.remoteKind === 'relay');
  const name = (way) => (way === 'server' ? 'server' : isRelayed ? 'relay' : 'direct');
  // Until it is known how the two found each other there is nothing to say.
  if (!path && party.shown === 'direct') return null;
  return { in: name(party.shown), out: name(party.wanted.out) };
}

const ONE = { direct: 'Direct', relay: 'Relayed', server: 'By server' };
const KINDS = { direct: 'ok', relay: 'warn', server: 'warn' };

/** One direction: [text, kind of badge]. */
export const wayText = (way) => [ONE[way] ?? '–', KINDS[way] ?? 'neutral'];

/** Both directions in one: [text, kind of badge]. */
export function bothWays(ways) {
  if (!ways) return ['', 'neutral'];
  if (ways.in === ways.out) return [ONE[ways.in], KINDS[ways.in]];
  return [`In ${ONE[ways.in].toLowerCase()}, out ${ONE[ways.out].toLowerCase()}`, 'warn'];
}
