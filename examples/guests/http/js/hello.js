// Answers `GET /` with a greeting, `POST /shout` with the request's body in capitals, as it comes.
async function answer(request) {
  const headers = { 'content-type': 'text/plain' };
  const { pathname } = new URL(request.url);
  if (request.method === 'GET' && pathname === '/') {
    return new Response('Hello from JavaScript\n', { headers });
  }
  if (request.method === 'POST' && pathname === '/shout') {
    const upper = (byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte);
    const capitals = new TransformStream({
      transform: (part, controller) => controller.enqueue(part.map(upper)),
    });
    return new Response(request.body.pipeThrough(capitals), { headers });
  }
  return new Response('not found\n', { status: 404, headers });
}

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));
