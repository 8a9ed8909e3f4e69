// Writes src/lib/types.gen.ts from docs/reference/openapi.json, which the server's own tests keep true.
// It is made anew before every build, check and test and is not in the repository, so it cannot be out of date.
import { readFileSync, writeFileSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const document = JSON.parse(readFileSync(new URL('../../docs/reference/openapi.json', here), 'utf8'));

/** A schema as TypeScript. What this does not know, it refuses. */
function type(schema) {
  if (schema.$ref) return schema.$ref.split('/').pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return alternatives.map(type).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((one) => type({ ...schema, type: one })).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `Array<${type(schema.items ?? {})}>`;
    case 'object':
      if (schema.properties) return `{ ${members(schema).join(' ')} }`;
      return `Record<string, ${schema.additionalProperties === true ? 'unknown' : type(schema.additionalProperties ?? {})}>`;
    case undefined: {
      const { description: _, ...rest } = schema;
      if (Object.keys(rest).length === 0) return 'unknown';
    }
  }
  throw new Error(`types.mjs cannot express ${JSON.stringify(schema)}`);
}

function members(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const doc = member.description ? `/** ${member.description} */ ` : '';
    return `${doc}${JSON.stringify(name)}${required.has(name) ? '' : '?'}: ${type(member)};`;
  });
}

const lines = ['// Made by scripts/types.mjs from docs/reference/openapi.json.', ''];
for (const [name, schema] of Object.entries(document.components.schemas)) {
  if (schema.description) lines.push(`/** ${schema.description} */`);
  lines.push(schema.properties ? `export interface ${name} {` : `export type ${name} = ${type(schema)};`);
  if (schema.properties) lines.push(...members(schema).map((member) => `  ${member}`), '}');
  lines.push('');
}
lines.push('/** Every path of the API. */', 'export type Path =');
lines.push(...Object.keys(document.paths).map((path) => `  | ${JSON.stringify(path)}`), ';', '');
writeFileSync(new URL('../src/lib/types.gen.ts', here), lines.join('\n'));
