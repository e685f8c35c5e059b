/**
 * A short reading of a user agent, for a person who wonders which of their devices this is: `Firefox on Linux`. What is not
 * a browser is read as the name of its program: `curl`. Nothing is decided by it: anybody may send any user agent.
 */

/** In this order: most browsers claim to be those below them as well. */
const BROWSERS: readonly [name: string, sign: RegExp][] = [
  ['Edge', /\bEdg(?:e|A|iOS)?\//],
  ['Opera', /\b(?:OPR|Opera)\//],
  ['Vivaldi', /\bVivaldi\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(?:Firefox|FxiOS)\//],
  ['Chrome', /\b(?:Chrome|CriOS|HeadlessChrome)\//],
  ['Safari', /\bVersion\/\S+ .*\bSafari\//],
];

/** An iPad says Macintosh by now, and cannot be told apart; Android says Linux. */
const SYSTEMS: readonly [name: string, sign: RegExp][] = [
  ['iPhone', /\biPhone\b/],
  ['iPad', /\biPad\b/],
  ['Android', /\bAndroid\b/],
  ['ChromeOS', /\bCrOS\b/],
  ['Windows', /\bWindows\b/],
  ['macOS', /\bMac(?:intosh| OS X)\b/],
  ['Linux', /\bLinux\b/],
];

/** RFC 9110's product, at the start: `curl/8.5.0`, `TaskFlow-CLI`. */
const PRODUCT = /^([A-Za-z0-9!#$%&'*+.^_`|~-]{1,40})(?:\/|\s|$)/;

/** Null when there is nothing to read. */
export function deviceOf(userAgent: string | null): string | null {
  if (!userAgent) return null;
  const find = (signs: typeof BROWSERS) => signs.find(([, sign]) => sign.test(userAgent))?.[0];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (browser && system) return `${browser} on ${system}`;
  if (browser) return browser;
  const product = PRODUCT.exec(userAgent)?.[1];
  return product && product !== 'Mozilla' ? product : (system ?? null);
}
