// Why no media path came up, as far as the browser tells.

const BLOCKED = 'No media path to the server: a firewall may block UDP.';
const LOOPBACK_ONLY = 'This browser makes no media connection to a loopback address (Firefox never does). '
  + 'Use another browser, or let the server send from this machine’s own address too (fanout.bind in its configuration).';

/** A sentence for the visitor. */
export async function explainNoPath(peer) {
  try {
    const all = [...(await peer.getStats()).values()];
    const remote = all.filter((s) => s.type === 'remote-candidate').map((s) => s.address ?? s.ip ?? '');
    const tried = all.some((s) => s.type === 'candidate-pair');
    return !tried && remote.length && remote.every(isLoopback) ? LOOPBACK_ONLY : BLOCKED;
  } catch {
    return BLOCKED;
  }
}

function isLoopback(address) {
  return address.startsWith('127.') || address === '::1';
}
