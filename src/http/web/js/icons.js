// Line icons on a 24-unit grid, as data.

const PATHS = {
  channels: ['M4 6.5h16v11H4z', 'M9 21h6', 'm10.5 9.7 4 2.3-4 2.3z'],
  publish: ['M3.5 7h11v10h-11z', 'm14.5 10.5 6-3v9l-6-3z'],
  operator: ['M4 19V9', 'M10 19V5', 'M16 19v-7', 'M21 19H3'],
  analytics: ['M4 20V4', 'M4 20h16', 'm7 15 3.5-4.5 3 2.5L19 7'],
  download: ['M12 4v11', 'm7.5 11 4.5 4.5 4.5-4.5', 'M5 19.5h14'],
  play: ['M7 4.8v14.4L19 12z'],
  pause: ['M7 5h3v14H7z', 'M14 5h3v14h-3z'],
  volume: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'M15.5 9a4.2 4.2 0 0 1 0 6', 'M18.3 6.2a8.2 8.2 0 0 1 0 11.6'],
  muted: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'm16 9.5 5 5', 'm21 9.5-5 5'],
  settings: ['M4 7h9', 'M17 7h3', 'M4 17h3', 'M11 17h9', 'M15 5v4', 'M9 15v4'],
  stats: ['M3.5 12h4l2.5-6.5 4 13 2.5-6.5h4'],
  keyboard: ['M3 6.5h18v11H3z', 'M7 10h.01', 'M11 10h.01', 'M15 10h.01', 'M18 10h.01', 'M8 14h8'],
  expand: ['M4 9V4h5', 'M20 9V4h-5', 'M4 15v5h5', 'M20 15v5h-5'],
  shrink: ['M9 4v5H4', 'M15 4v5h5', 'M9 20v-5H4', 'M15 20v-5h5'],
  pip: ['M3.5 5.5h17v13h-17z', 'M12 12h6v4.5h-6z'],
  plus: ['M12 5v14', 'M5 12h14'],
  close: ['m6 6 12 12', 'm18 6-12 12'],
  check: ['m5 12.5 4.5 4.5L19 7.5'],
  back: ['M15 5l-7 7 7 7'],
  chevron: ['m9 5 7 7-7 7'],
  edit: ['M4 20h4L19.5 8.5l-4-4L4 16z', 'm13 7 4 4'],
  trash: ['M5 7h14', 'M9.5 7V4.5h5V7', 'm7 7 .8 12.5h8.4L17 7', 'M10.5 11v5', 'M13.5 11v5'],
  copy: ['M9 9h11v11H9z', 'M15 9V4H4v11h5'],
  viewers: ['M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z', 'M12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z'],
  user: ['M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'M4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6'],
  sun: ['M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'M12 2.5v2', 'M12 19.5v2', 'M2.5 12h2', 'M19.5 12h2', 'm5.3 5.3 1.4 1.4', 'm17.3 17.3 1.4 1.4', 'm5.3 18.7 1.4-1.4', 'm17.3 6.7 1.4-1.4'],
  moon: ['M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z'],
  system: ['M3.5 5h17v11h-17z', 'M8.5 20h7', 'M12 16v4'],
  warning: ['M12 4 2.8 20h18.4z', 'M12 10v4.5', 'M12 17.3h.01'],
  info: ['M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z', 'M12 11v5', 'M12 8h.01'],
  camera: ['M3.5 7h11v10h-11z', 'm14.5 10.5 6-3v9l-6-3z'],
  screen: ['M3.5 5h17v11h-17z', 'M8.5 20h7', 'M12 16v4', 'm12 13 0-5', 'm9.8 10 2.2-2.2 2.2 2.2'],
  network: ['M12 4v16', 'M4 12h16', 'M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z', 'M12 3.5c5 5 5 12 0 17', 'M12 3.5c-5 5-5 12 0 17'],
  link: ['M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5', 'M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5'],
  file: ['M6 3.5h8l4.5 4.5v12.5H6z', 'M14 3.5V8h4.5', 'm10.5 11.5 4 2.5-4 2.5z'],
  pattern: ['M3.5 5h17v14h-17z', 'M8 5v14', 'M12 5v14', 'M16 5v14'],
  refresh: ['M20 12a8 8 0 1 1-2.5-5.8', 'M20.5 3.5v4h-4'],
  cpu: ['M7 7h10v10H7z', 'M10 3.5V7', 'M14 3.5V7', 'M10 17v3.5', 'M14 17v3.5', 'M3.5 10H7', 'M3.5 14H7', 'M17 10h3.5', 'M17 14h3.5'],
  key: ['M8 10.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z', 'm11.3 11.7 8.2-8.2', 'm16 7 3 3'],
  call: ['M6.5 3.5 9.5 4l1 4-2.2 1.6a12.5 12.5 0 0 0 6.1 6.1L16 13.5l4 1 .5 3a2.5 2.5 0 0 1-2.5 3A14.5 14.5 0 0 1 3.5 6a2.5 2.5 0 0 1 3-2.5z'],
  'hang-up': ['M3 14.5c0-5 18-5 18 0v2.5h-5v-3.200c-2.600-.8-5.400-.8-8 0V17H3z'],
  microphone: ['M12 3.5a3 3 0 0 1 3 3V11a3 3 0 0 1-6 0V6.5a3 3 0 0 1 3-3z', 'M5.5 11a6.5 6.5 0 0 0 13 0', 'M12 17.5v3'],
  'microphone-off': ['M15 9.5v-3a3 3 0 0 0-6-.4', 'M9 9.5V11a3 3 0 0 0 4.600 2.5', 'M5.5 11a6.5 6.5 0 0 0 9.800 5.600', 'M12 17.5v3', 'm4 4 16 16'],
  'camera-off': ['M7.5 7h7v6.5', 'm14.5 10.5 6-3v9l-3.5-1.700', 'M12.5 17h-9V7.600', 'm4 4 16 16'],
  people: ['M9 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z', 'M2.5 19.5c.7-3.500 3.200-5.200 6.500-5.200s5.800 1.700 6.500 5.200', 'M19 8v6', 'M16 11h6'],
  search: ['M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z', 'm15.500 15.500 5 5'],
  more: ['M4.5 12a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0', 'M11.5 12a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0', 'M18.5 12a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0'],
  leave: ['M13.5 4.500h-8v15h8', 'M10 12h10', 'm16.500 8 4 4-4 4'],
  recordings: ['M3.5 5.5h17v13h-17z', 'M7.500 5.500v13', 'M16.500 5.500v13', 'M3.500 9.800h4', 'M3.500 14.200h4', 'M16.500 9.800h4', 'M16.500 14.200h4'],
  record: ['M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z', 'M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z'],
  stop: ['M7 7h10v10H7z'],
};

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** A decorative icon: hidden from assistive technology, so its button carries the name. */
export function icon(name, extraClass = '') {
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon ${extraClass}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('focusable', 'false');
  setIcon(svg, name);
  return svg;
}

/** Changes the picture of an icon in place. */
export function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(...PATHS[name].map((d) => {
    const path = document.createElementNS(NAMESPACE, 'path');
    path.setAttribute('d', d);
    return path;
  }));
}
