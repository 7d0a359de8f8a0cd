// Two homes and a server on one public network, in network namespaces. What lies between a home and
// the network is decided by the rules of its router, which a test may change at any time.
//
//     home 0 ── router 0 ──┐
//                          ├── exchange ── server
//     home 1 ── router 1 ──┘

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** The server's addresses: of the page, and of its relay. */
export const PAGE = '198.51.100.10';
export const RELAY = '198.51.100.11';
const PUBLIC = '198.51.100.0/24';

const router = (n) => `198.51.100.${n + 1}`;
const inner = (n) => `192.168.${n + 1}`;

/** Lets everything pass, both ways. */
export const OPEN = '';
/**
 * A NAT that keeps the port: one mapping for all destinations, and through it only those come back
 * that were sent to (port-restricted cone). Linux' masquerade does that as long as what nobody
 * asked for leaves no trace in its table.
 */
export const CONE = nat('masquerade');
/** A NAT with a mapping of its own for every destination, at a random port. */
export const SYMMETRIC = nat('masquerade random,fully-random');
/** A firewall behind which there is no UDP. */
export const NO_UDP = nat('masquerade', 'meta l4proto udp counter drop');
/** A firewall that lets out what looks like the web. */
export const ONLY_443 = nat('masquerade', 'meta l4proto != tcp counter drop', 'iifname "in" tcp dport != 443 counter drop');

/** A router that lets nothing but TCP through from these homes to the other one. */
export const cutFrom = (...homes) => `
  table ip cut {
    chain pass {
      type filter hook forward priority filter;
      ${homes.map((n) => `ip saddr ${inner(n)}.2 ip daddr ${inner(1 - n)}.2 meta l4proto udp drop`).join('\n')}
    }
  }`;

function nat(masquerade, ...forbidden) {
  return `
    table ip nat {
      chain leave { type nat hook postrouting priority srcnat; oifname "out" ${masquerade}; }
    }
    table ip wall {
      chain pass {
        type filter hook forward priority filter; policy drop;
        ${forbidden.join('\n')}
        ct state established,related accept
        iifname "in" accept
      }
      chain arrive {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "in" accept
      }
    }`;
}

/** Of what goes in and out of the server: the page with its web socket, and all else. */
const COUNT = `
  table inet count {
    counter page {}
    counter rest {}
    chain arrive {
      type filter hook input priority filter;
      iifname != "eth0" accept
      ip daddr ${PAGE} tcp dport 443 counter name page accept
      counter name rest
    }
    chain leave {
      type filter hook output priority filter;
      oifname != "eth0" accept
      ip saddr ${PAGE} tcp sport 443 counter name page accept
      counter name rest
    }
  }`;

export class Networks {
  #names = [];
  /** The last part of each home's address, where it moved. */
  #moved = {};
  #folder = mkdtempSync(path.join(tmpdir(), 'stentor-networks-'));

  /** Needs root. Whatever is there of it is removed if it fails, and when the process ends. */
  constructor() {
    process.once('exit', () => this.remove());
    try {
      this.#build();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  get server() {
    return name('server');
  }

  /** Puts a home behind other rules. What already passes is judged by them, too. */
  route(n, rules) {
    this.#rules(name(`router${n}`), rules);
  }

  /** Bits per second that a home's line carries, each way; without one it carries what it may. */
  narrow(n, { up, down }) {
    for (const [where, device, rate] of [[name(`home${n}`), 'eth0', up], [name(`router${n}`), 'in', down]]) {
      const tc = (...words) => run('ip', 'netns', 'exec', where, 'tc', 'qdisc', ...words);
      if (rate) tc('replace', 'dev', device, 'root', 'tbf', 'rate', `${rate}bit`, 'burst', '16kb', 'latency', '200ms');
      else if (tc('show', 'dev', device).includes('tbf')) tc('del', 'dev', device, 'root');
    }
  }

  /** Gives a home another address, as another network would; what it had is gone. */
  move(n) {
    const at = (this.#moved[n] ?? 2) === 2 ? 77 : 2;
    this.#moved[n] = at;
    ip(name(`home${n}`), 'addr flush dev eth0', `addr add ${inner(n)}.${at}/24 dev eth0`, `route add default via ${inner(n)}.1`);
  }

  /** A program that runs `command` in home `n`, with its arguments. */
  program(n, command) {
    const file = path.join(this.#folder, `home${n}`);
    writeFileSync(file, `#!/bin/sh\nexec ip netns exec ${name(`home${n}`)} ${command} "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  }

  /** What a command says in the server's namespace. */
  atServer(...words) {
    return run('ip', 'netns', 'exec', this.server, ...words);
  }

  /** Bytes that have crossed the server's line: {page, rest}. */
  carried() {
    const { nftables } = JSON.parse(this.atServer('nft', '-j', 'list', 'counters'));
    const counters = nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.bytes]] : []));
    return Object.fromEntries(counters);
  }

  /** Packets that a router has dropped because its rules name them. */
  refused(n) {
    const { nftables } = JSON.parse(run('ip', 'netns', 'exec', name(`router${n}`), 'nft', '-j', 'list', 'ruleset'));
    const counters = nftables.flatMap(({ rule }) => rule?.expr ?? []).flatMap(({ counter }) => (counter ? [counter.packets] : []));
    return counters.reduce((sum, packets) => sum + packets, 0);
  }

  remove() {
    for (const one of this.#names.splice(0)) {
      try {
        run('ip', 'netns', 'del', one);
      } catch {
        // It isn't there.
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #build() {
    const exchange = this.#add('exchange');
    ip(exchange, 'link add bridge type bridge', 'link set bridge up');
    const join = (end, device) => {
      const port = `port${this.#names.length}`;
      run('ip', 'link', 'add', port, 'netns', exchange, 'type', 'veth', 'peer', 'name', device, 'netns', end);
      ip(exchange, `link set ${port} master bridge up`);
      ip(end, `link set ${device} up`);
    };
    const server = this.#add('server');
    join(server, 'eth0');
    ip(server, `addr add ${PAGE}/24 dev eth0`, `addr add ${RELAY}/24 dev eth0`);
    this.#rules(server, COUNT);
    for (const n of [0, 1]) {
      const gate = this.#add(`router${n}`);
      join(gate, 'out');
      const home = this.#add(`home${n}`);
      run('ip', 'link', 'add', 'in', 'netns', gate, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', home);
      ip(gate, 'link set in up', `addr add ${router(n)}/24 dev out`, `addr add ${inner(n)}.1/24 dev in`);
      // Where a router translates nothing, homes reach each other's own addresses.
      ip(gate, `route add ${inner(1 - n)}.0/24 via ${router(1 - n)} onlink dev out`);
      ip(server, `route add ${inner(n)}.0/24 via ${router(n)}`);
      run('ip', 'netns', 'exec', gate, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
      ip(home, 'link set eth0 up', `addr add ${inner(n)}.2/24 dev eth0`, `route add default via ${inner(n)}.1`);
    }
  }

  #add(role) {
    const one = name(role);
    run('ip', 'netns', 'add', one);
    this.#names.push(one);
    run('ip', 'netns', 'exec', one, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    ip(one, 'link set lo up');
    return one;
  }

  #rules(where, rules) {
    const file = path.join(this.#folder, 'rules');
    writeFileSync(file, `flush ruleset\n${rules}\n`);
    run('ip', 'netns', 'exec', where, 'nft', '-f', file);
  }
}

/** What relays may reach here: documentation's addresses stand for public ones. */
export const allowedPeers = [PUBLIC];

const name = (role) => `stentor-${process.pid}-${role}`;

function ip(where, ...lines) {
  for (const line of lines) run('ip', '-n', where, ...line.split(' '));
}

function run(program, ...words) {
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
