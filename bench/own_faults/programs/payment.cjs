// The payment service: books a payment in PostgreSQL, and asks a bank for the money, again up to five times if the
// bank is not available. Switches: `lost connections` (some requests never give theirs back), `receipts` (all of them
// stay in memory).

const fs = require('fs');
const express = require('express');
const { Pool } = require('pg');
const pino = require('pino');

const log = pino({ name: 'payment' });
const database = new Pool({
  connectionString: process.env.SHOP_DATABASE,
  max: 10,
  connectionTimeoutMillis: 1000,
  idleTimeoutMillis: 0,
});
const app = express();
const lost = [];
let receipts = [];
let requests = 0;

function isOn(name) {
  return Boolean(JSON.parse(fs.readFileSync(process.env.SHOP_SWITCHES, 'utf8'))[name]);
}

async function book(account, cents) {
  const connection = await database.connect();
  try {
    await connection.query('UPDATE accounts SET cents = cents - $2 WHERE number = $1', [account, cents]);
  } finally {
    if (isOn('lost connections') && requests % 5 === 0) lost.push(connection);
    else connection.release();
  }
}

async function charge(payment) {
  for (let attempt = 1; attempt <= 6; attempt += 1) {
    const answer = await fetch(`${process.env.SHOP_BANK}/charges`, { method: 'POST', body: JSON.stringify(payment) });
    await answer.arrayBuffer();
    if (answer.ok) return;
    log.warn(`the bank answered ${answer.status}`);
  }
  throw new Error('the bank is not available');
}

app.use(express.json());
app.get('/health', (_request, response) => response.json(null));

app.post('/payments', async (request, response) => {
  const { account, cents } = request.body;
  requests += 1;
  if (isOn('receipts')) receipts.push(new Array(1_000_000).fill(requests + 0.5));
  else receipts = [];
  if (!isOn('lost connections')) while (lost.length > 0) lost.pop().release();
  await book(account, cents);
  await charge({ account, cents });
  log.info(`account ${account} paid ${cents} cents`);
  response.json({ cents });
});

app.listen(Number(process.env.SHOP_PORT), '127.0.0.1');
