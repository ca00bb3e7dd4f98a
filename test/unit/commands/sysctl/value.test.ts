import { describe, expect, test } from 'vitest';

import { parseSetting } from '../../../../src/commands/sysctl/setting.ts';
import { meets, misfit, presentIn } from '../../../../src/commands/sysctl/value.ts';

const numbers = '/proc/sys/vm/x';
const thp = '/sys/kernel/mm/transparent_hugepage/enabled';

describe('what a file says', () => {
  test.each([
    ['262144\n', numbers, { value: '262144' }],
    ['1024\t65000\n', numbers, { value: '1024 65000' }],
    ['\n', numbers, { value: '' }],
    ['always [madvise] never\n', thp, { value: 'madvise', choices: ['always', 'madvise', 'never'] }],
    ['[always] madvise never\n', thp, { value: 'always', choices: ['always', 'madvise', 'never'] }],
    ['1\n', thp, { value: '1' }],
    // A text of somebody's, and no choice.
    ['|/bin/dump [x] %p\n', '/proc/sys/kernel/core_pattern', { value: '|/bin/dump [x] %p' }],
  ])('%j', (text, path, present) => {
    expect(presentIn(text, path)).toEqual(present);
  });
});

describe('right is', () => {
  test.each([
    ['vm.x=262144', '262144'],
    ['vm.x=0x40000', '262144'],
    ['vm.x=-1', '-1'],
    ['vm.x>=262144', '262144'],
    ['vm.x>=262144', '1048576'],
    ['vm.x>=262144', '9223372036854775807'],
    ['vm.x>=9223372036854775808', '18446744073692774399'],
    ['net.x=1024 65000', '1024 65000'],
    ['net.x=8080,8081,9000-9002', '8080-8081,9000-9002'],
    ['net.x=9000,8081,8080,8080', '8080-8081,9000'],
    ['kernel.x=core.%p', 'core.%p'],
  ])('%s where it is %j', (asked, is) => {
    expect(meets(parseSetting(asked), { value: is })).toBe(true);
  });

  test.each([
    ['vm.x=262144', '262145'],
    ['vm.x=262144', '1048576'],
    ['vm.x>=262144', '65530'],
    ['vm.x>=262144', '99999'],
    ['vm.x>=18446744073709551615', '18446744073709551614'],
    ['vm.x=1', '-1'],
    ['vm.x=1', ''],
    ['net.x=1024 65000', '1024 65001'],
    ['net.x=1024 65000', '1024'],
    ['net.x=8080', '8080-8081'],
    ['kernel.x=core', 'core.%p'],
    ['kernel.x=Core', 'core'],
  ])('not %s where it is %j', (asked, is) => {
    expect(meets(parseSetting(asked), { value: is })).toBe(false);
  });
});

describe('what cannot be', () => {
  test.each([
    ['net.x>=1', { value: '1024 65000' }, 'has 2 values (1024 65000), of which none can be compared'],
    ['vm.x>=1', { value: '-1' }, 'is "-1", which is not a whole number that could be compared; write vm.x=1'],
    ['vm.x>=1', { value: '' }, 'which is not a whole number'],
    ['vm.x>=1', { value: 'core' }, 'which is not a whole number'],
    ['net.x=1024', { value: '32768 60999' }, 'has 2 values (32768 60999), and 1 was given'],
    ['vm.x=1 2', { value: '1' }, 'has 1 value (1), and 2 were given'],
    ['vm.x=262144 vm.y=1', { value: '1' }, 'vm.y=1 is another setting; write each as a word of its own'],
    ['vm.x=262144,vm.y=1', { value: '1' }, 'is another setting; write each as a word of its own'],
    ['vm.x=256k', { value: '1' }, 'is a number without a unit (1), and 256k is none'],
    ['net.x=4Ki 5 6', { value: '1 2 3' }, 'is numbers without a unit (1 2 3), and 4Ki is none'],
    [
      `${thp}=sometimes`,
      { value: 'never', choices: ['always', 'never'] },
      'cannot be "sometimes" on this kernel; it takes always, never',
    ],
  ])('%s of %j', (asked, present, said) => {
    expect(misfit(parseSetting(asked), present)).toContain(said);
  });

  test.each([
    ['vm.x=1', { value: '2' }],
    ['vm.x>=1', { value: '18446744073692774399' }],
    ['net.x=reno cubic', { value: 'reno' }],
    ['net.x=8080-8090', { value: '' }],
    ['kernel.x=1 2', { value: 'a' }],
    ['vm.x=0x10', { value: '1' }],
    ['vm.x=8080-8081,9000', { value: '1' }],
    ['kernel.core_pattern=|/bin/x a=b', { value: 'core' }],
    [`${thp}=always`, { value: 'never', choices: ['always', 'never'] }],
  ])('but %s of %j', (asked, present) => {
    expect(misfit(parseSetting(asked), present)).toBeUndefined();
  });
});
