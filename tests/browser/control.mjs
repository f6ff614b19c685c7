// Tells the simulated site what to do, over its control port: one line there, one line back.
import { connect } from 'node:net';

export function control(address, command) {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), host, () => socket.write(`${command}\n`));
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer to ${command}`)));
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      answer += bytes;
      if (!answer.includes('\n')) return;
      socket.end();
      const line = answer.slice(0, answer.indexOf('\n'));
      if (line.startsWith('error')) reject(new Error(`${command}: ${line}`));
      else resolve(line);
    });
  });
}
