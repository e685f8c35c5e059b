/** Variables that take the limits on rates off: tests call faster than anybody may. What one operation may cost stays limited. */
export const RATES_OFF: NodeJS.ProcessEnv = Object.fromEntries(
  [
    ...['VIEWER_POINTS', 'KEY_POINTS', 'ORGANIZATION_POINTS', 'ADDRESS_POINTS'],
    ...['VIEWER_REQUESTS', 'ADDRESS_REQUESTS'],
  ].map((what) => [`ROUTER_${what}_PER_S`, '0']),
);

/** For supergraphs whose costs are not what is tested: answers say nothing of them either. */
export const COSTS_OFF: NodeJS.ProcessEnv = { ...RATES_OFF, ROUTER_COST_MAX: '0' };
