/** The tools of the shop workload: Redis through ioredis, the catalog's HTTP API through fetch. */
import { Redis } from 'ioredis';
import { z } from 'zod';

const redis = new Redis(process.env.BENCH_REDIS_URL);
const api = process.env.BENCH_API_URL;

const text = value => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

async function searchProducts({ category, limit }) {
    const response = await fetch(`${api}/products?category=${category}&limit=${limit}`);
    const products = await response.json();
    return text({ products, popular: await redis.zrevrange(`popular:${category}`, 0, 4) });
}

async function getCart({ user }) {
    const [[, cart], [, orders]] = await redis.pipeline().hgetall(`cart:${user}`).zrevrange(`orders:${user}`, 0, 4).exec();
    return text({ user, cart, orders });
}

async function checkout({ user, product, quantity }) {
    const body = JSON.stringify({ product, quantity });
    const response = await fetch(`${api}/quotes`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const order = await response.json();
    await redis.pipeline().zadd(`orders:${user}`, 1, product).zincrby(`popular:${product.split('-')[0]}`, quantity, product).exec();
    return text({ user, order });
}

export function registerShop(server) {
    const register = (name, description, inputSchema, run) =>
        server.registerTool(name, { description, inputSchema: z.object(inputSchema) }, run);
    register('search_products', 'Search the catalog', { category: z.string(), limit: z.number().int() }, searchProducts);
    register('get_cart', 'Return the cart of a user', { user: z.string() }, getCart);
    const order = { user: z.string(), product: z.string(), quantity: z.number().int() };
    register('checkout', 'Order a product', order, checkout);
}
