// The main window's pages, in the order of their number keys.

import type { IconName } from '../shared/icons';

/** A page's name. */
export type PageName = 'overview' | 'keys' | 'timeline' | 'reminders';

/** Every page. */
export const PAGES: readonly { name: PageName; title: string; icon: IconName }[] = [
  { name: 'overview', title: 'Overview', icon: 'overview' },
  { name: 'keys', title: 'Keys', icon: 'keys' },
  { name: 'timeline', title: 'Timeline', icon: 'timeline' },
  { name: 'reminders', title: 'Reminders', icon: 'bell' },
];
