// What a careful user writes: verify over the raw bytes of data, append, sync, answer.
'use strict';
const http = require('http'), fs = require('fs'), crypto = require('crypto');
const [, , port, out, secret] = process.argv;
const file = fs.openSync(out, 'a');
http.createServer((request, response) => {
	const chunks = [];
	request.on('data', (chunk) => chunks.push(chunk));
	request.on('end', () => {
		const body = Buffer.concat(chunks).toString();
		let event;
		try {
			event = JSON.parse(body);
		} catch (e) {
			response.writeHead(400).end();
			return;
		}
		const mac = crypto.createHmac('sha256', secret).update(JSON.stringify(event.data)).update(event.nonce).digest();
		const given = Buffer.from(event.sig256, 'base64');
		if (given.length !== mac.length || !crypto.timingSafeEqual(given, mac)) {
			response.writeHead(401).end();
			return;
		}
		fs.write(file, body.replace(/\n/g, ' ') + '\n', () => fs.fdatasync(file, (error) => {
			response.writeHead(error ? 503 : 200).end('ok');
		}));
	});
}).listen(Number(port), '127.0.0.1');
