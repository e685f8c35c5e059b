import { describe, expect, it } from 'vitest';
import { parseKeyRing } from './config.ts';
import { createSealer } from './seal.ts';

const OLD = `old:${'o'.repeat(32)}`;
const NEW = `new:${'n'.repeat(32)}`;
const sealer = createSealer(parseKeyRing(OLD));
const BINDING = 'mail:INVITE:ada@acme.test';

describe('a sealed text', () => {
  it.each(['inv_0198_secret', '', 'Grüße, 世界 🙂', 'x'.repeat(4_000)])('opens as it was', (text) => {
    expect(sealer.open(sealer.seal(text, BINDING), BINDING)).toBe(text);
  });

  it('shows nothing of the text, and is another one each time', () => {
    const [one, other] = [sealer.seal('secret', BINDING), sealer.seal('secret', BINDING)];
    expect(one).not.toBe(other);
    expect(Buffer.from(one.split('.')[1] ?? '', 'base64url').toString('latin1')).not.toContain('secret');
    expect(one).not.toContain('ada@acme.test');
  });

  it('does not open when any one bit of it was changed', () => {
    const [id, body = ''] = sealer.seal('secret', BINDING).split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(sealer.open(`${id}.${changed.toString('base64url')}`, BINDING)).toBeNull();
    }
  });

  it('does not open elsewhere than where it was bound to', () => {
    const sealed = sealer.seal('secret', BINDING);
    expect(sealer.open(sealed, 'mail:INVITE:eve@acme.test')).toBeNull();
    expect(sealer.open(sealed, 'mail:PASSWORD_RESET:ada@acme.test')).toBeNull();
    expect(sealer.open(sealed, '')).toBeNull();
  });

  it('does not open when it is shortened, prolonged or nothing that was sealed', () => {
    const sealed = sealer.seal('secret', BINDING);
    const others = [
      sealed.slice(0, -4),
      `${sealed}AAAA`,
      `${sealed}.x`,
      sealed.slice(4),
      'old.',
      'old',
      '',
      '.',
    ];
    for (const text of [...others, `old.${'A'.repeat(9_000)}`]) expect(sealer.open(text, BINDING)).toBeNull();
  });
});

describe('while keys rotate', () => {
  it('the first key seals, and both open', () => {
    const rotating = createSealer(parseKeyRing(`${NEW},${OLD}`));
    expect(rotating.open(sealer.seal('before', BINDING), BINDING)).toBe('before');
    const sealed = rotating.seal('after', BINDING);
    expect(createSealer(parseKeyRing(NEW)).open(sealed, BINDING)).toBe('after');
    expect(sealer.open(sealed, BINDING)).toBeNull();
  });

  it('another secret under the same id opens nothing', () => {
    const other = createSealer(parseKeyRing(`old:${'p'.repeat(32)}`));
    expect(other.open(sealer.seal('secret', BINDING), BINDING)).toBeNull();
  });
});
