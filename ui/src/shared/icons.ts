// Icons: strokes in a 24 by 24 box, drawn for this program.

export const ICONS = {
  overview: 'M4 5h7v6H4z M13 5h7v10h-7z M4 13h7v6H4z M13 17h7v2h-7z',
  keys: 'M8 15a4 4 0 1 0 0-.01 M11 12.5 20 4 M16.5 7.2l2.6 2.6 M14 9.6l1.8 1.8',
  timeline: 'M7 4v16 M7 7h0.01 M11 7h9 M11 12h9 M11 17h6',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15z M10 20.5h4',
  lock: 'M6 11h12v9H6z M8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  unlock: 'M6 11h12v9H6z M8.5 11V7.5a3.5 3.5 0 0 1 6.8-1.1',
  check: 'M5 12.5 10 17.5 19 7',
  cross: 'M6.5 6.5l11 11 M17.5 6.5l-11 11',
  minus: 'M6 12h12',
  touch:
    'M12 4a7 7 0 0 0-7 7v2 M19 11a7 7 0 0 0-3-5.7 M8 19c.6-2 .8-4 .8-7a3.2 3.2 0 0 1 6.4 0c0 3-.2 5.500-1 8 M12 12c0 3.500-.3 6-1 8.500 M18.700 15c-.1 1.500-.3 2.700-.6 4',
  warn: 'M12 4 21 20H3z M12 10v4.500 M12 17.200h.01',
  info: 'M12 4a8 8 0 1 0 .01 0 M12 11v5 M12 8h.01',
  question: 'M9 9a3 3 0 1 1 4.500 2.600c-1 .600-1.500 1.200-1.500 2.400 M12 17.500h.01',
  copy: 'M9 9h10v11H9z M15 9V5H5v11h4',
  shield: 'M12 3.500 19 6v5.500c0 4.500-3 7.500-7 9-4-1.500-7-4.500-7-9V6z M9 12l2.200 2.200L15.200 10',
  chevron: 'M9 6l6 6-6 6',
  clock: 'M12 4a8 8 0 1 0 .01 0 M12 8v4.500l3 2',
  device: 'M8 3h8v5H8z M6 8h12v10a3 3 0 0 1-3 3H9a3 3 0 0 1-3-3z M12 13.500h.01',
  chip: 'M7 7h10v10H7z M10 3v4 M14 3v4 M10 17v4 M14 17v4 M3 10h4 M3 14h4 M17 10h4 M17 14h4',
  disk: 'M5 5h14v14H5z M9 15.500h6 M9 12h6',
  plug: 'M9 3v5 M15 3v5 M6 8h12v3a6 6 0 0 1-12 0z M12 17v4',
  file: 'M6 3h8l4 4v14H6z M14 3v4h4',
  eye: 'M2.500 12S6 6 12 6s9.500 6 9.500 6-3.500 6-9.500 6S2.500 12 2.500 12z M12 9.500a2.500 2.500 0 1 0 .01 0',
  swap: 'M4 9h15 M15 5l4 4-4 4 M20 15H5 M9 11l-4 4 4 4',
  out: 'M12 15V4 M8 8l4-4 4 4 M5 14v6h14v-6',
  tool: 'M14.500 6.500a4 4 0 0 1 5-1l-2.500 2.500 1 1 2.500-2.500a4 4 0 0 1-5.500 5L8 18.500a1.800 1.800 0 0 1-2.500-2.500l7-7a4 4 0 0 1 2-2.500z',
  refresh: 'M19 12a7 7 0 1 1-2-5 M17 3v4h-4',
  empty: 'M4 7h16v12H4z M4 7l3-3h10l3 3 M9 12h6',
} as const;

/** The name of an icon. */
export type IconName = keyof typeof ICONS;
