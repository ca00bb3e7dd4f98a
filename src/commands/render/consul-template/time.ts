import { ValueFault } from './values.ts';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (value: number): string => String(value).padStart(2, '0');

/** What the parts of a layout stand for, in UTC (https://pkg.go.dev/time#Layout). */
const parts: Readonly<Record<string, (time: Date) => string>> = {
  January: (time) => months[time.getUTCMonth()] ?? '',
  Jan: (time) => months[time.getUTCMonth()]?.slice(0, 3) ?? '',
  Monday: (time) => days[time.getUTCDay()] ?? '',
  Mon: (time) => days[time.getUTCDay()]?.slice(0, 3) ?? '',
  MST: () => 'UTC',
  '2006': (time) => String(time.getUTCFullYear()),
  '06': (time) => two(time.getUTCFullYear() % 100),
  '01': (time) => two(time.getUTCMonth() + 1),
  '02': (time) => two(time.getUTCDate()),
  _2: (time) => String(time.getUTCDate()).padStart(2),
  '15': (time) => two(time.getUTCHours()),
  '03': (time) => two(time.getUTCHours() % 12 || 12),
  '04': (time) => two(time.getUTCMinutes()),
  '05': (time) => two(time.getUTCSeconds()),
  PM: (time) => (time.getUTCHours() < 12 ? 'AM' : 'PM'),
  'Z07:00': () => 'Z',
  Z0700: () => 'Z',
  '-07:00': () => '+00:00',
  '-0700': () => '+0000',
};

const known = new RegExp(Object.keys(parts).join('|'), 'g');

/**
 * A time as Go's time.Format writes it, in UTC.
 * @throws ValueFault where the layout has a part that is not supported
 */
export function goTime(time: Date, layout: string): string {
  const rest = layout.replace(known, '');
  if (/\d|pm|\bZ/.test(rest))
    throw new ValueFault(
      `the layout has a part that is not supported; these are ${Object.keys(parts).join(', ')}, and unix alone`,
    );
  return layout.replace(known, (part) => parts[part]?.(time) ?? part);
}
