// Server-sent events as a Node.js shop has them: `pg` listens, `http` serves, a set of responses for each rep.
"use strict";
const http = require("node:http");
const { parseArgs } = require("node:util");
const { Client } = require("pg");

const BACKLOG = 4096;
const KEEP_ALIVE_MS = 15_000;
const { values: given } = parseArgs({ options: { "database-url": { type: "string" }, listen: { type: "string" } } });

/** @type {Map<string, Set<http.ServerResponse>>} */
const streams = new Map();

function deliver(notification) {
    const { rep } = JSON.parse(notification.payload);
    for (const response of streams.get(String(rep)) ?? []) response.write(`data: ${notification.payload}\n\n`);
}

function serve(request, response) {
    const rep = new URL(request.url, "http://localhost").searchParams.get("rep");
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    response.flushHeaders();
    const ofRep = streams.get(rep) ?? new Set();
    streams.set(rep, ofRep.add(response));
    const pings = setInterval(() => response.write(":\n\n"), KEEP_ALIVE_MS);
    response.on("close", () => {
        clearInterval(pings);
        ofRep.delete(response);
    });
}

async function main() {
    const client = new Client({ connectionString: given["database-url"] });
    client.on("notification", deliver);
    await client.connect();
    await client.query("LISTEN bench_orders");
    const [host, port] = given.listen.split(":");
    const server = http.createServer(serve);
    server.listen({ host, port: Number(port), backlog: BACKLOG });
}

main().catch((error) => {
    console.error(`bench node peer: ${error.message}`);
    process.exit(1);
});
