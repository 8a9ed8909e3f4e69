import { after } from 'node:test';
import { close } from './world.mjs';
after(close);
for (const name of (process.env.ONLY ?? '').split(',')) await import(`./${name}.mjs`);
