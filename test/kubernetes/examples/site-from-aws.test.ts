import { describe, expect, test } from 'vitest';

import { injectRole } from '../support/aws-role.ts';
import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { fillBucket, putParameters } from '../support/services.ts';

describe.skipIf(noCluster)('site-from-aws', () => {
  test('without the bucket: 69, with the reason', async () => {
    await putParameters({ '/site/htpasswd': 'ann:$apr1$of-good-news', '/site/theme': 'dark' });
    await using example = await Example.create(import.meta.filename);
    injectRole(example, ['S3', 'SSM']);
    await example.apply();
    await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const { exitCode, message } = ended(await example.namespace.pod(example.selector), 'content');
    expect(message).toMatch(/bucket that does not exist/);
    expect(exitCode).toBe(69);
  });

  test('nginx serves what is below the prefix, and the parameters are in memory', async () => {
    await putParameters({ '/site/htpasswd': 'ann:$apr1$of-good-news', '/site/theme': 'dark' });
    await fillBucket('shop-site', {
      'public/index.html': '<h1>The site, from a bucket</h1>',
      'public/css/site.css': 'h1 { color: teal }',
      'drafts/index.html': 'not for the web',
    });
    await using example = await Example.create(import.meta.filename);
    injectRole(example, ['S3', 'SSM']);
    await example.apply();
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy/`;
    expect(await example.namespace.kubectl('get', '--raw', path)).toContain(
      '<h1>The site, from a bucket</h1>',
    );
    expect(await example.exec('cat', '/usr/share/nginx/html/css/site.css')).toBe('h1 { color: teal }');
    expect(await example.exec('ls', '/usr/share/nginx/html')).not.toContain('drafts');
    expect(await example.exec('cat', '/settings/htpasswd')).toBe('ann:$apr1$of-good-news');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/settings/theme')).toBe('440 101');
    expect(await example.exec('stat', '-f', '-c', '%T', '/settings')).toBe('tmpfs');
    const logs = (await example.logs('content')) + (await example.logs('settings'));
    expect(logs).toContain('arn:aws:iam::123456789012:role/site');
    expect(logs).not.toContain('of-good-news');
  });
});
