// @node-oauth/oauth2-server: `node node_oauth2_server.mjs REDIRECT_URI`, with the client `known`. It
// prints its address, and ends when standard input does. It shows its login once client and redirect URI
// are checked.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const OAuth2Server = require('@node-oauth/oauth2-server');

const LOGIN = '<h1>Log in</h1><form method="post"><button id="sign-in">Log in</button></form>';
const client = { id: 'known', grants: ['authorization_code'], redirectUris: [process.argv[2]] };
const oauth = new OAuth2Server({
  model: {
    getClient: (id) => (id === client.id ? client : null),
    saveAuthorizationCode: (code) => code,
    getAccessToken: () => null,
  },
});

async function authorize(incoming, outgoing, url) {
  const query = Object.fromEntries(url.searchParams);
  const request = new OAuth2Server.Request({ headers: incoming.headers, method: incoming.method, query });
  const response = new OAuth2Server.Response();
  const isLoggedIn = incoming.headers.cookie === 'user=alice';
  let isAsked = false;
  const handle = () => {
    isAsked = true;
    return isLoggedIn ? { name: 'alice' } : null;
  };
  try {
    await oauth.authorize(request, response, { authenticateHandler: { handle } });
    outgoing.writeHead(response.status, response.headers).end();
  } catch (error) {
    if (isAsked && !isLoggedIn) {
      const next = encodeURIComponent(incoming.url);
      outgoing.writeHead(302, { location: `/login?next=${next}` }).end();
    } else {
      outgoing.writeHead(error.code, { 'content-type': 'text/plain' }).end(error.message);
    }
  }
}

const server = createServer((incoming, outgoing) => {
  const url = new URL(incoming.url, 'http://127.0.0.1');
  if (url.pathname !== '/login') {
    authorize(incoming, outgoing, url);
  } else if (incoming.method === 'GET') {
    outgoing.writeHead(200, { 'content-type': 'text/html' }).end(LOGIN);
  } else {
    const location = url.searchParams.get('next');
    outgoing.writeHead(303, { location, 'set-cookie': 'user=alice' }).end();
  }
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/authorize`);
});
process.stdin.resume().on('end', () => process.exit());
