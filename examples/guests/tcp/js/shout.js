// A server that answers each connection with what it was sent, in capitals, and a client for it.
//
// `shout serve PORT COUNT` ends after COUNT connections; `shout send PORT TEXT` prints the answer.
import { getArguments } from 'wasi:cli/environment@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { instanceNetwork } from 'wasi:sockets/instance-network@0.2.12';
import { createTcpSocket } from 'wasi:sockets/tcp-create-socket@0.2.12';

// componentize-js 0.23 makes no class of a resource without functions, and its bindings, which have
// a global object of their own, name it all the same.
instanceNetwork.constructor('return globalThis')().import_network_0_2_12$Network = class Network {};

const print = (stream, text) => stream.blockingWriteAndFlush(new TextEncoder().encode(text));
const address = (port) => ({ tag: 'ipv4', val: { port, address: [127, 0, 0, 1] } });

// Waits for what was started on a socket.
function finish(socket, step) {
  for (;;) {
    try {
      return step();
    } catch (error) {
      if (error.payload !== 'would-block') throw error;
      socket.subscribe().block();
    }
  }
}

// The parts that come, until the end.
function* parts(input) {
  for (;;) {
    try {
      yield input.blockingRead(4096n);
    } catch {
      return;
    }
  }
}

// What belongs to something else goes before it.
const drop = (...resources) => resources.forEach((resource) => resource[Symbol.dispose]());

function serve(port, count) {
  const socket = createTcpSocket('ipv4');
  socket.startBind(instanceNetwork(), address(port));
  finish(socket, () => socket.finishBind());
  socket.startListen();
  finish(socket, () => socket.finishListen());
  print(getStdout(), `listening on port ${socket.localAddress().val.port}\n`);
  const upper = (byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte);
  for (let i = 0; i < count; i++) {
    const [connection, input, output] = finish(socket, () => socket.accept());
    for (const part of parts(input)) output.blockingWriteAndFlush(part.map(upper));
    drop(input, output, connection);
  }
}

function send(port, text) {
  const socket = createTcpSocket('ipv4');
  socket.startConnect(instanceNetwork(), address(port));
  const [input, output] = finish(socket, () => socket.finishConnect());
  output.blockingWriteAndFlush(new TextEncoder().encode(text));
  socket.shutdown('send');
  const decoder = new TextDecoder();
  let answer = '';
  for (const part of parts(input)) answer += decoder.decode(part, { stream: true });
  drop(input, output, socket);
  print(getStdout(), `${answer}\n`);
}

export const run = {
  run() {
    const [, mode, port, last] = getArguments();
    try {
      if (mode === 'serve') serve(Number(port), Number(last));
      else if (mode === 'send') send(Number(port), last);
      else throw { payload: 'usage: shout serve PORT COUNT | shout send PORT TEXT' };
    } catch (error) {
      print(getStderr(), `shout: ${error.payload ?? error}\n`);
      throw undefined;
    }
  },
};
