// A provider of identities and tokens, and a browser with somebody who consents to everything.
//
// node provider.mjs FOLDER REDIRECT_URI: FOLDER has oidc-provider in it. The first line of output is the
// issuer; each line of input is who sits at the browser and the address that it opens, and each further line
// of output the address at REDIRECT_URI to which it was sent back. Nobody but ada has a verified email.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// The library tells things on standard output.
console.info = console.log = console.error;
const say = (line) => process.stdout.write(`${line}\n`);

const [folder, redirectUri] = process.argv.slice(2);
const entry = pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`);
const { Provider } = await import(entry);

const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'nebula',
    client_secret: 'a secret of the client',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
  cookies: { keys: ['of a test'] },
  features: { devInteractions: { enabled: false } },
  claims: { email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: id === 'ada', name: id }),
  }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // Nobody who shows no challenge gets a code.
  pkce: { required: () => true },
  rotateRefreshToken: true,
});

// Who sits at the browser.
let who = 'ada';

// They log in and consent at once.
async function consent(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: who, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  const result = { login: { accountId: who }, consent: { grantId } };
  await provider.interactionFinished(request, response, result);
}

const handle = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return handle(request, response);
  consent(request, response).catch((error) => response.writeHead(500).end(String(error)));
});

// A browser with cookies, which opens nothing but the provider.
async function browse(first) {
  const cookies = new Map();
  let url = new URL(first);
  for (let hops = 0; hops < 20; hops += 1) {
    if (!url.href.startsWith(issuer)) return url.href;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const set of answer.headers.getSetCookie()) {
      const [name, value] = set.split(';')[0].split(/=(.*)/s);
      cookies.set(name, value);
    }
    const next = answer.headers.get('location');
    if (!next) return `${answer.status} ${(await answer.text()).replace(/\s+/g, ' ').slice(0, 500)}`;
    url = new URL(next, url);
  }
  return 'it goes round and round';
}

say(issuer);
for await (const line of createInterface({ input: process.stdin })) {
  const [name, url] = line.split(' ');
  who = name;
  say(await browse(url));
}
process.exit(0);
