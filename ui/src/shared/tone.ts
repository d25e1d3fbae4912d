// Tones: what a colour means. A tone never stands without an icon and a word.

/** What a colour means. */
export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'info' | 'accent' | 'practice';
