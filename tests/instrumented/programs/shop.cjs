// A shop with Express. It knows nothing of telemetry: Node.js loads the instrumentation before it.

const express = require('express');
const { Pool } = require('pg');
const { createClient } = require('redis');
const pino = require('pino');

const log = pino({ name: 'shop' });
const database = new Pool({ connectionString: process.env.SHOP_DATABASE, max: 4 });
const redis = createClient({ url: process.env.SHOP_REDIS });
const app = express();

app.get('/health', (_request, response) => response.json(null));

app.get('/orders/:number', async (request, response) => {
  const { number } = request.params;
  const cached = await redis.get(`express:${number}`);
  if (cached !== null) return response.json({ item: cached });
  const { rows } = await database.query('SELECT item FROM orders WHERE number = $1', [number]);
  if (rows.length === 0) {
    log.error(`order ${number} is unknown`);
    return response.status(404).json({ detail: 'Not Found' });
  }
  await redis.set(`express:${number}`, rows[0].item);
  log.info(`order ${number} was read from the database`);
  return response.json({ item: rows[0].item });
});

app.get('/broken', () => {
  throw new Error('the stock is inconsistent');
});

redis.connect().then(() => app.listen(Number(process.env.SHOP_PORT), '127.0.0.1'));
