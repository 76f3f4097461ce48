// oidc-provider: `node oidc_provider.mjs REDIRECT_URI`, with the client `known`. It prints its address, and
// ends when standard input does.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.cwd()}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(address, {
    clients: [{ client_id: 'known', client_secret: 'secret', redirect_uris: [process.argv[2]] }],
    cookies: { keys: ['not a secret'] },
    pkce: { required: () => false },
  });
  server.on('request', provider.callback());
  console.log(`${address}/auth?scope=openid`);
});
process.stdin.resume().on('end', () => process.exit());
